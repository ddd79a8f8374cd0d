package platform

// A Machine holds what all processes of a machine use together, as the kernel counts it. It
// includes kernel threads, exited processes and processes in no group.
type Machine struct {
	Have MachineFields // values that were read

	CPUs           int    // that are online
	CPUNanos       uint64 // CPU time of all CPUs since boot, without idle, I/O wait and steal time
	MemoryBytes    uint64
	AvailableBytes uint64 // memory that is available to new processes without swapping
	ReadBytes      uint64 // read from block devices since boot
	WriteBytes     uint64 // written to block devices since boot
}

// MachineFields is a set of the values of a [Machine].
type MachineFields uint8

// The values of a Machine.
const (
	MachineCPU    MachineFields = 1 << iota // CPUs and CPUNanos: /proc/stat
	MachineMemory                           // MemoryBytes and AvailableBytes: /proc/meminfo
	MachineDisk                             // ReadBytes and WriteBytes: /proc/vmstat
)

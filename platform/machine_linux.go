package platform

import (
	"time"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// A MachineReader reads the totals of the machine. It is not safe for concurrent use.
type MachineReader struct {
	mount  *procfs.Mount // nil if the process file system could not be opened
	reader *procfs.Reader
	ticks  uint64 // per second
}

// OpenMachine returns a MachineReader of the process file system at root; "" is /proc. It reads
// no values if root cannot be opened. The sandbox permits Read, but not OpenMachine.
func OpenMachine(root string) *MachineReader {
	if root == "" {
		root = "/proc"
	}
	mount, err := procfs.Open(root)
	if err != nil {
		return new(MachineReader)
	}
	return &MachineReader{mount: mount, reader: procfs.NewReader(mount), ticks: host.TicksPerSecond()}
}

// Close closes the process file system.
func (r *MachineReader) Close() error {
	if r.mount == nil {
		return nil
	}
	return r.mount.Close()
}

// Read reads the totals. It can block without limit, because LXCFS can replace the files that
// it reads.
func (r *MachineReader) Read() (m Machine) {
	if r.mount == nil {
		return m
	}
	if text, err := r.reader.ReadHost("stat"); err == nil {
		var cpu procfs.CPUStat
		if procfs.ParseCPUStat(text, &cpu) == nil {
			m.CPUs, m.CPUNanos = cpu.CPUs, cpu.BusyTicks*(uint64(time.Second)/r.ticks)
			m.Have |= MachineCPU
		}
	}
	if text, err := r.reader.ReadHost("meminfo"); err == nil {
		var memory procfs.Meminfo
		const needed = procfs.MeminfoTotal | procfs.MeminfoAvailable
		if procfs.ParseMeminfo(text, &memory) == nil && memory.Have&needed == needed {
			m.MemoryBytes, m.AvailableBytes = memory.TotalBytes, memory.AvailableBytes
			m.Have |= MachineMemory
		}
	}
	if text, err := r.reader.ReadHost("vmstat"); err == nil {
		var vmstat procfs.VMStat
		if procfs.ParseVMStat(text, &vmstat) == nil {
			m.ReadBytes, m.WriteBytes = vmstat.ReadBytes, vmstat.WriteBytes
			m.Have |= MachineDisk
		}
	}
	return m
}

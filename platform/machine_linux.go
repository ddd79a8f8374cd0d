package platform

import (
	"time"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// ReadMachine reads the process file system at root; "" is /proc. It can block without
// limit, because LXCFS can replace the files that it reads. It is safe for concurrent use.
func ReadMachine(root string) (m Machine) {
	if root == "" {
		root = "/proc"
	}
	mount, err := procfs.Open(root)
	if err != nil {
		return m
	}
	defer mount.Close()
	r := procfs.NewReader(mount)
	if text, err := r.ReadHost("stat"); err == nil {
		var cpu procfs.CPUStat
		if procfs.ParseCPUStat(text, &cpu) == nil {
			m.CPUs, m.CPUNanos = cpu.CPUs, cpu.BusyTicks*(uint64(time.Second)/host.TicksPerSecond())
			m.Have |= MachineCPU
		}
	}
	if text, err := r.ReadHost("meminfo"); err == nil {
		var memory procfs.Meminfo
		const needed = procfs.MeminfoTotal | procfs.MeminfoAvailable
		if procfs.ParseMeminfo(text, &memory) == nil && memory.Have&needed == needed {
			m.MemoryBytes, m.AvailableBytes = memory.TotalBytes, memory.AvailableBytes
			m.Have |= MachineMemory
		}
	}
	if text, err := r.ReadHost("vmstat"); err == nil {
		var paging procfs.PagingStat
		if procfs.ParsePagingStat(text, &paging) == nil {
			m.ReadBytes, m.WriteBytes = paging.ReadBytes, paging.WriteBytes
			m.Have |= MachineDisk
		}
	}
	return m
}

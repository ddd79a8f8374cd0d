package platform

import (
	"os"

	"github.com/seed57308aee/process_exporter/procfs"
)

// NeedsCapBPFAfterLoad reports whether the kernel may check for CAP_BPF at every use of BPF
// programs, and not only when they are loaded: before Linux 5.19.
func NeedsCapBPFAfterLoad() bool { return procfs.KernelBefore(5, 19) }

// SmapsNeedsPtrace reports whether smaps of processes of other users requires
// CAP_SYS_PTRACE: before Linux 6.15. Since then CAP_PERFMON suffices.
func SmapsNeedsPtrace() bool { return procfs.KernelBefore(6, 15) }

// FDCountNeedsDACReadSearch reports whether the number of open files of processes of other users
// requires CAP_DAC_READ_SEARCH with SourceProcfs: before Linux 6.2. Since then it is the size
// of the directory /proc/PID/fd, which every user can read.
func FDCountNeedsDACReadSearch() bool { return sizeIsZero("/proc/self/fd") }

func sizeIsZero(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() == 0
}

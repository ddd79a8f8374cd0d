package platform

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// BPFUseNeedsCapability reports whether the kernel may check for CAP_BPF whenever BPF
// programs are used, not only when they are loaded: before Linux 5.19.
func BPFUseNeedsCapability() bool { return releaseBefore(release(), 5, 19) }

// SmapsNeedsPtrace reports whether smaps of processes of other users requires
// CAP_SYS_PTRACE: before Linux 6.15. Since then CAP_PERFMON suffices.
func SmapsNeedsPtrace() bool { return releaseBefore(release(), 6, 15) }

// FDCountNeedsSearch reports whether the number of open files of processes of other users
// requires CAP_DAC_READ_SEARCH with KindProcfs: before Linux 6.2. Since then it is the size
// of the directory /proc/PID/fd, which every user can read.
func FDCountNeedsSearch() bool { return sizeIsZero("/proc/self/fd") }

func sizeIsZero(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() == 0
}

// release returns the kernel release, such as 6.12.48-amd64, or "".
func release() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

// releaseBefore reports whether a release is older than a version. An unknown release counts
// as old, for which more capabilities are required.
func releaseBefore(release string, major, minor int) bool {
	var x, y int
	if n, _ := fmt.Sscanf(release, "%d.%d", &x, &y); n < 2 {
		return true
	}
	return x < major || x == major && y < minor
}

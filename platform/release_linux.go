package platform

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// BPFUseNeedsCapability reports whether the kernel may ask for CAP_BPF whenever its
// programs are used, and not only when they are loaded: before Linux 5.19.
func BPFUseNeedsCapability() bool { return before(release(), 5, 19) }

// SmapsNeedsPtrace reports whether proportional memory of other users'
// processes takes CAP_SYS_PTRACE: since Linux 6.15, CAP_PERFMON will do.
func SmapsNeedsPtrace() bool { return before(release(), 6, 15) }

// release returns that of the kernel, such as 6.12.48-amd64.
func release() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

// before reports whether a release is older than a version. One that cannot be
// read counts as old, which asks for more.
func before(release string, major, minor int) bool {
	var x, y int
	if n, _ := fmt.Sscanf(release, "%d.%d", &x, &y); n < 2 {
		return true
	}
	return x < major || x == major && y < minor
}

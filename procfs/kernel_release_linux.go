package procfs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// KernelBefore reports whether the running kernel is older than Linux major.minor, by
// uname(2). An unknown release counts as old.
func KernelBefore(major, minor int) bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return true
	}
	return releaseBefore(unix.ByteSliceToString(name.Release[:]), major, minor)
}

// releaseBefore reports whether a release, such as "6.1.0-28-amd64", is before major.minor.
func releaseBefore(release string, major, minor int) bool {
	var x, y int
	if n, _ := fmt.Sscanf(release, "%d.%d", &x, &y); n < 2 {
		return true
	}
	return x < major || x == major && y < minor
}

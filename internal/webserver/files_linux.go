package webserver

import "golang.org/x/sys/unix"

// reservedFiles are for the walk, the log, the configuration and what the
// kernel's programs need.
const reservedFiles = 32

// affordableConnections returns how many of want connections the limit on open
// files leaves room for: clients must not keep a walk from opening its files.
func affordableConnections(want int) int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return want
	}
	if uint64(limit.Cur) >= uint64(want+reservedFiles) {
		return want
	}
	return max(1, int(limit.Cur)-reservedFiles)
}

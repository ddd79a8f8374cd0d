package webserver

import "golang.org/x/sys/unix"

// reservedFiles is the number of file descriptors reserved for the walk, the
// log, the configuration files and the BPF programs.
const reservedFiles = 32

// limitByOpenFiles returns want, or less if RLIMIT_NOFILE does not leave enough
// file descriptors: connections must not make a walk fail with EMFILE.
func limitByOpenFiles(want int) int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return want
	}
	if uint64(limit.Cur) >= uint64(want+reservedFiles) {
		return want
	}
	return max(1, int(limit.Cur)-reservedFiles)
}

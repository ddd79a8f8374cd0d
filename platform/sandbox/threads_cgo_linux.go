//go:build cgo

package sandbox

import (
	"errors"
	"os"
	"strconv"
)

// usesCgo reports whether the C library starts threads.
const usesCgo = true

// checkThreads returns an error if system calls cannot be made on all threads. With
// cgo, package psx lists the threads in /proc, and aborts the program if it cannot.
func checkThreads() error {
	if self, err := os.Readlink("/proc/self"); err != nil || self != strconv.Itoa(os.Getpid()) {
		return errors.New("/proc does not show the threads of this process; mount it, or build with CGO_ENABLED=0")
	}
	return nil
}

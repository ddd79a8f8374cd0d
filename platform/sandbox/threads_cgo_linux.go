//go:build cgo

package sandbox

import (
	"errors"
	"os"
	"strconv"
)

// threadsKnown returns an error where system calls cannot be made on all threads.
// A program with C finds its threads in /proc, and may not go on without.
func threadsKnown() error {
	if self, err := os.Readlink("/proc/self"); err != nil || self != strconv.Itoa(os.Getpid()) {
		return errors.New("there is no /proc that shows our own threads; build with CGO_ENABLED=0, which needs none")
	}
	return nil
}

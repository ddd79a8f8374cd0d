package platform

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// usedCapabilities are the capabilities that sources use. No other permitted capability is
// raised.
var usedCapabilities = capabilityBits(unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH, unix.CAP_BPF, unix.CAP_PERFMON)

// capabilitySet is the argument of capget(2) and capset(2): the lower and the upper 32
// capabilities.
type capabilitySet [2]unix.CapUserData

func capabilityBits(capabilities ...int) [2]uint32 {
	var bits [2]uint32
	for _, c := range capabilities {
		bits[c/32] |= 1 << (c % 32)
	}
	return bits
}

// raise makes the permitted capabilities of bits effective. It reports whether the set has
// changed.
func (s *capabilitySet) raise(bits [2]uint32) bool {
	changed := false
	for i := range s {
		raised := s[i].Effective | s[i].Permitted&bits[i]
		changed = changed || raised != s[i].Effective
		s[i].Effective = raised
	}
	return changed
}

// RaiseCapabilities makes the permitted capabilities that sources use effective. File
// capabilities that are permitted but not effective let a program start in a container that
// lacks them. Such a program must raise them itself.
//
// Capabilities belong to threads: all threads are changed. New threads inherit them.
func RaiseCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var set capabilitySet
	if err := unix.Capget(&header, &set[0]); err != nil {
		return fmt.Errorf("platform: cannot read capabilities: %w", err)
	}
	if !set.raise(usedCapabilities) {
		return nil
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&set[0])), 0)
	switch {
	case errno == 0:
		return nil
	case errors.Is(errno, syscall.ENOTSUP):
		return fmt.Errorf("platform: cannot raise capabilities of all threads in a program built with cgo; build with CGO_ENABLED=0: %w", errno)
	}
	return fmt.Errorf("platform: cannot raise capabilities: %w", errno)
}

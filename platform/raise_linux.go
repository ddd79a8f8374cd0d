package platform

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// usedCapabilities are those that a source can make use of. None else is
// raised, whatever else the process may have been given.
var usedCapabilities = capabilityBits(unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH, unix.CAP_BPF, unix.CAP_PERFMON)

// capabilitySet holds what capget and capset take: the lower and the upper 32
// capabilities.
type capabilitySet [2]unix.CapUserData

func capabilityBits(capabilities ...int) [2]uint32 {
	var bits [2]uint32
	for _, c := range capabilities {
		bits[c/32] |= 1 << (c % 32)
	}
	return bits
}

// raise makes those of bits effective that are permitted, and reports whether
// that changes the set.
func (s *capabilitySet) raise(bits [2]uint32) bool {
	changed := false
	for i := range s {
		raised := s[i].Effective | s[i].Permitted&bits[i]
		changed = changed || raised != s[i].Effective
		s[i].Effective = raised
	}
	return changed
}

// RaiseCapabilities makes effective what the process is permitted of the
// capabilities that sources use. A program whose file has capabilities that are
// permitted but not effective starts everywhere, also where the container may
// have none of them; in return it has to raise them itself.
//
// Capabilities belong to threads, so that all of them are changed. Threads that
// start later take theirs after the one that starts them.
func RaiseCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var set capabilitySet
	if err := unix.Capget(&header, &set[0]); err != nil {
		return fmt.Errorf("platform: cannot read the capabilities of the process: %w", err)
	}
	if !set.raise(usedCapabilities) {
		return nil
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&set[0])), 0)
	switch {
	case errno == 0:
		return nil
	case errors.Is(errno, syscall.ENOTSUP):
		return fmt.Errorf("platform: cannot raise the capabilities of all threads of a program that is built with cgo; build it with CGO_ENABLED=0: %w", errno)
	}
	return fmt.Errorf("platform: cannot raise the permitted capabilities: %w", errno)
}

package host

import (
	"errors"
	"syscall"
)

// ResourceExhausted reports whether err says that this program ran out of file
// descriptors or memory. Such an error says nothing about the process read.
func ResourceExhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

//go:build !linux

package sandbox

import (
	"errors"
	"fmt"
	"runtime"
)

func activateLayers(Options) Report {
	return Report{Unavailable: []error{fmt.Errorf("sandbox: on %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)}}
}

func effective(all []Capability) []Capability { return all }

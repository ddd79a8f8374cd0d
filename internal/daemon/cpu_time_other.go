//go:build !unix

package daemon

import "time"

// ownCPUTime returns 0: the CPU time is unknown.
func ownCPUTime() time.Duration { return 0 }

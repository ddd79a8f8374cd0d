//go:build !linux

package e2e

import "time"

// refusedCalls returns nothing: only Linux has seccomp filters.
func refusedCalls(int, time.Time) []string { return nil }

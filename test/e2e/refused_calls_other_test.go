//go:build !linux

package e2e

// refusedCalls returns nothing: only Linux has seccomp filters.
func refusedCalls(int) []string { return nil }

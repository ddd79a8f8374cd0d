//go:build !linux

package platform

// RaiseCapabilities has nothing to raise: only Linux knows capabilities.
func RaiseCapabilities() error { return nil }

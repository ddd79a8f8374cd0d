//go:build !linux

package platform

// RaiseCapabilities has nothing to raise: only Linux knows capabilities.
func RaiseCapabilities() error { return nil }

// BPFUseNeedsCapability has nothing to ask: only Linux runs such programs.
func BPFUseNeedsCapability() bool { return false }

// SmapsNeedsPtrace has nothing to ask: only Linux has these capabilities.
func SmapsNeedsPtrace() bool { return false }

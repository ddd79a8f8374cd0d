//go:build !linux

package platform

// RaiseCapabilities does nothing: only Linux has capabilities.
func RaiseCapabilities() error { return nil }

// NeedsCapBPFAfterLoad returns false: only Linux has BPF programs.
func NeedsCapBPFAfterLoad() bool { return false }

// SmapsNeedsPtrace returns false: only Linux has these capabilities.
func SmapsNeedsPtrace() bool { return false }

// FDCountNeedsDACReadSearch returns false: only Linux has these capabilities.
func FDCountNeedsDACReadSearch() bool { return false }

//go:build !linux

package platform

// RaiseCapabilities has nothing to raise: only Linux knows capabilities.
func RaiseCapabilities() error { return nil }

// KernelAsksForBPF has nothing to ask: only Linux runs such programs.
func KernelAsksForBPF() bool { return false }

// KernelAsksForTracing has nothing to ask: only Linux has these capabilities.
func KernelAsksForTracing() bool { return false }

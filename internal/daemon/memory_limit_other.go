//go:build !linux

package daemon

// setMemoryLimit does nothing: only Linux has cgroups.
func setMemoryLimit() {}

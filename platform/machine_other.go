//go:build !linux

package platform

// ReadMachine returns a Machine without values.
func ReadMachine(string) Machine { return Machine{} }

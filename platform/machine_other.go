//go:build !linux

package platform

// A MachineReader reads no values on this operating system.
type MachineReader struct{}

// OpenMachine returns a MachineReader.
func OpenMachine(string) *MachineReader { return new(MachineReader) }

// Read returns a Machine without values.
func (*MachineReader) Read() Machine { return Machine{} }

// Close does nothing.
func (*MachineReader) Close() error { return nil }

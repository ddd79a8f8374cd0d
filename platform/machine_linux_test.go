package platform

import (
	"runtime"
	"testing"
	"time"
)

// TestReadMachine compares the values of this machine with known bounds, and requires that CPU time
// increases with work.
func TestReadMachine(t *testing.T) {
	before := ReadMachine("")
	if want := MachineCPU | MachineMemory | MachineDisk; before.Have != want {
		t.Fatalf("got values %b, want %b", before.Have, want)
	}
	if before.CPUs < 1 || before.CPUs < runtime.NumCPU() {
		t.Errorf("got %d CPUs, want at least the %d that this process may use", before.CPUs, runtime.NumCPU())
	}
	if before.MemoryBytes == 0 || before.AvailableBytes > before.MemoryBytes {
		t.Errorf("got %d of %d bytes available", before.AvailableBytes, before.MemoryBytes)
	}
	deadline := time.Now().Add(10 * time.Second)
	for ReadMachine("").CPUNanos <= before.CPUNanos { // reading takes CPU time
		if time.Now().After(deadline) {
			t.Fatal("got no increase of the CPU time")
		}
	}
	if got := ReadMachine(t.TempDir()); got != (Machine{}) {
		t.Errorf("got %+v of an empty directory, want no values", got)
	}
}

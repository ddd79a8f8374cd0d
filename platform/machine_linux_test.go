package platform

import (
	"runtime"
	"testing"
	"time"
)

// TestReadMachine compares the values of this machine with known bounds, and requires that CPU time
// increases with work.
func TestReadMachine(t *testing.T) {
	r := OpenMachine("")
	defer r.Close()
	before := r.Read()
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
	for r.Read().CPUNanos <= before.CPUNanos { // reading takes CPU time
		if time.Now().After(deadline) {
			t.Fatal("got no increase of the CPU time")
		}
	}
	none := OpenMachine(t.TempDir())
	defer none.Close()
	if got := none.Read(); got != (Machine{}) {
		t.Errorf("got %+v of an empty directory, want no values", got)
	}
}

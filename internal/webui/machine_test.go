package webui

import (
	"context"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// TestMachineRates checks the totals of the machine, and that requests cause few reads.
func TestMachineRates(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	reads := 0
	s.machine.hostname = "alpha"
	s.machine.read = func() platform.Machine {
		reads++
		return platform.Machine{
			Have: platform.MachineCPU | platform.MachineMemory, CPUs: 4, CPUNanos: uint64(s.time.Unix()) * 2e9,
			MemoryBytes: 100, AvailableBytes: 30,
		}
	}
	got := s.Report(ctx).Machine
	if got == nil || got.Hostname != "alpha" || *got.CPUs != 4 || got.CPU != nil || *got.UsedBytes != 70 || got.ReadBytes != nil {
		t.Fatalf("got %+v after one read, want CPUs and memory", got)
	}
	s.advance(time.Second)
	if got := s.Report(ctx).Machine; got.CPU == nil || *got.CPU != 2 {
		t.Fatalf("got %+v a second later, want 2 cores", got)
	}
	for range 600 { // one minute, ten requests per second
		s.advance(100 * time.Millisecond)
		s.Report(ctx)
	}
	if reads > 16 {
		t.Errorf("got %d reads in a minute, want at most 16", reads)
	}
}

// TestMachineBlocks checks that a read that blocks delays neither a request nor the next one for
// long, and that there is only one.
func TestMachineBlocks(t *testing.T) {
	s, ctx := newTestRecorder(), context.Background()
	started, end := make(chan struct{}, 10), make(chan struct{})
	s.machine.read = func() platform.Machine {
		started <- struct{}{}
		<-end
		return platform.Machine{}
	}
	for range 3 {
		if got := s.Report(ctx); got.Machine != nil {
			t.Errorf("got %+v during the first read, want no values", got.Machine)
		}
		s.advance(10 * time.Second)
	}
	close(end)
	if n := len(started); n != 1 {
		t.Errorf("got %d reads, want 1", n)
	}
}

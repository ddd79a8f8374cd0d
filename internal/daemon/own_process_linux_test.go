package daemon

import (
	"math"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// TestOwnProcess compares the metrics with those of the client library, except
// for the network counters.
func TestOwnProcess(t *testing.T) {
	gather := func(c prometheus.Collector) map[string]*dto.MetricFamily {
		t.Helper()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(c)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		byName := make(map[string]*dto.MetricFamily)
		for _, f := range families {
			byName[f.GetName()] = f
		}
		return byName
	}
	value := func(f *dto.MetricFamily) float64 {
		return f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
	}
	var used syscall.Rusage
	for used.Utime.Nano() < 300e6 { // enough CPU time for a comparison
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			t.Fatal(err)
		}
	}
	got := gather(newOwnProcess())
	want := gather(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	delete(want, "process_network_receive_bytes_total")
	delete(want, "process_network_transmit_bytes_total")
	if len(got) != len(want) || len(got) != 7 {
		t.Errorf("got %d metrics, want %d", len(got), len(want))
	}
	for name, w := range want {
		g := got[name]
		if g == nil || g.GetHelp() != w.GetHelp() || g.GetType() != w.GetType() {
			t.Errorf("%s: got %v, want %v", name, g, w)
			continue
		}
		b := value(w)
		tolerance, ok := map[string]float64{ // changes between the two reads
			"process_cpu_seconds_total":        0.1,
			"process_open_fds":                 2,
			"process_max_fds":                  0,
			"process_resident_memory_bytes":    b / 4,
			"process_virtual_memory_bytes":     b / 4,
			"process_virtual_memory_max_bytes": 0,
			"process_start_time_seconds":       0.02,
		}[name]
		if a := value(g); !ok || math.Abs(a-b) > tolerance {
			t.Errorf("%s: got %v, want %v ± %v", name, a, b, tolerance)
		}
	}
}

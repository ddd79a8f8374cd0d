package main

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// TestOwnProcess says what the collector of the client library says, but for the
// network's counters.
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
		if a, b := value(g), value(w); math.Abs(a-b) > 2+b/4 { // both change between the looks
			t.Errorf("%s: got %v, want about %v", name, a, b)
		}
	}
}

package config

import (
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/grouping"
)

// defaultCollectors returns the collectors that are enabled without a flag.
func defaultCollectors() grouping.CollectorSet {
	enabled := grouping.AllCollectors
	for i, c := range grouping.CollectorTable {
		if c.OffByDefault {
			enabled &^= 1 << i
		}
	}
	return enabled
}

// TestCollectorFlags checks which collectors the flags enable.
func TestCollectorFlags(t *testing.T) {
	const threads, smaps, cpu = grouping.CollectorThreads, grouping.CollectorSmaps, grouping.CollectorCPU
	all := defaultCollectors()
	for args, want := range map[string]grouping.CollectorSet{
		"":                             all,
		"--no-collector.cpu":           all &^ cpu,
		"-collector.cpu=false":         all &^ cpu,
		"-threads=false":               all &^ threads,
		"--no-gather-smaps":            all &^ smaps,
		"--collector.threads":          all,
		"--collector.disable-defaults": 0,
		"--collector.cpu --collector.disable-defaults":                          cpu,
		"--collector.disable-defaults -threads --collector.cpu":                 cpu | threads,
		"--collector.disable-defaults=false -threads=false":                     all &^ threads,
		"--collector.disable-defaults --collector.cpu --no-collector.cpu":       0,
		"-threads=false --collector.threads":                                    all,
		"--collector.threads -threads=false":                                    all &^ threads,
		"--no-collector.smaps -gather-smaps":                                    all,
		"-gather-smaps -threads=false --no-collector.smaps --collector.threads": all &^ smaps,
		"--smaps.budget=0":    all &^ smaps,
		"--collector.network": all | grouping.CollectorNetwork,
		"--collector.disable-defaults --collector.smaps -smaps.budget=0":          0,
		"--collector.disable-defaults --no-collector.disable-defaults -threads=0": all &^ threads,
	} {
		s, err := Parse(strings.Fields(args))
		if err != nil {
			t.Fatalf("%s: %v", args, err)
		}
		if s.Collectors != want {
			t.Errorf("%s: got %v, want %v", args, s.Collectors.Names(), want.Names())
		}
	}
	_, err := Parse([]string{"--no-collector.disk"})
	if err == nil || !strings.Contains(err.Error(), "unknown flag --no-collector.disk") {
		t.Errorf("got error %v, want an unknown flag", err)
	}
}

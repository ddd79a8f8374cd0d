package procfs

import (
	"fmt"
	"testing"
)

func TestParseCPUStat(t *testing.T) {
	tests := []struct {
		name, text string
		want       CPUStat
		bad        string // field of the ParseError
	}{
		{"6.18", string(fixture(t, "linux-6.18/host_stat")), CPUStat{BusyTicks: 2778 + 2792 + 37, CPUs: 2}, "none"},
		{"3.10", string(fixture(t, "linux-3.10/host_stat")), CPUStat{BusyTicks: 4705 + 356 + 584 + 23, CPUs: 1}, "none"},
		{"seven fields", "cpu  1 2 3 4 5 6 7\ncpu0 1\n", CPUStat{BusyTicks: 19, CPUs: 1}, "none"},
		{"empty", "", CPUStat{}, "cpu"},
		{"six fields", "cpu  1 2 3 4 5 6\ncpu0 1\n", CPUStat{}, "cpu"},
		{"no number", "cpu  1 2 x 4 5 6 7\ncpu0 1\n", CPUStat{}, "cpu"},
		{"no CPU", "cpu  1 2 3 4 5 6 7\nintr 1\n", CPUStat{}, "cpu"},
		{"cut", "cpu  1 2 3 4 5 6 7\ncpu0 1", CPUStat{}, "cpu"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := CPUStat{}
			wantParseError(t, ParseCPUStat([]byte(tt.text), &got), "stat", tt.bad)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParsePagingStat(t *testing.T) {
	tests := []struct {
		name, text string
		want       PagingStat
		bad        string // field of the ParseError
	}{
		{"usual", "nr_free_pages 5\npgpgin 3\npgpgout 4\npswpin 1\n", PagingStat{ReadBytes: 3072, WriteBytes: 4096}, "none"},
		{"empty", "", PagingStat{}, "pgpgin"},
		{"one missing", "pgpgout 4\n", PagingStat{}, "pgpgin"},
		{"cut", "pgpgin 3\npgpgout 4", PagingStat{}, "pgpgout"},
		{"no number", "pgpgin x\npgpgout 4\n", PagingStat{}, "pgpgin"},
		{"overflow", "pgpgin 18446744073709551615\npgpgout 4\n", PagingStat{}, "pgpgin"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := PagingStat{}
			wantParseError(t, ParsePagingStat([]byte(tt.text), &got), "vmstat", tt.bad)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseMachineAllocs(t *testing.T) {
	stat, cpu := fixture(t, "linux-6.18/host_stat"), new(CPUStat)
	wantNoAllocs(t, func() error { return ParseCPUStat(stat, cpu) })
	vmstat, paging := []byte("pgpgin 3\npgpgout 4\n"), new(PagingStat)
	wantNoAllocs(t, func() error { return ParsePagingStat(vmstat, paging) })
}

// FuzzParseMachine checks that the parsers never panic, never return a value with an error, and parse
// their printed results to the same values.
func FuzzParseMachine(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/host_stat"))
	f.Add([]byte("pgpgin 3\npgpgout 4\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var cpu, cpuAgain CPUStat
		if err := ParseCPUStat(text, &cpu); err != nil {
			if cpu != cpuAgain {
				t.Errorf("got %+v and error %v, want no value with an error", cpu, err)
			}
		} else {
			printed := fmt.Sprintf("cpu  %d 0 0 0 0 0 0\n", cpu.BusyTicks)
			for range cpu.CPUs {
				printed += "cpu\n"
			}
			if err := ParseCPUStat([]byte(printed), &cpuAgain); err != nil || cpu != cpuAgain {
				t.Errorf("got %+v and error %v for %q, want %+v", cpuAgain, err, printed, cpu)
			}
		}
		var paging, pagingAgain PagingStat
		if err := ParsePagingStat(text, &paging); err != nil {
			if paging != pagingAgain {
				t.Errorf("got %+v and error %v, want no value with an error", paging, err)
			}
			return
		}
		printed := fmt.Sprintf("pgpgin %d\npgpgout %d\n", paging.ReadBytes>>10, paging.WriteBytes>>10)
		if err := ParsePagingStat([]byte(printed), &pagingAgain); err != nil || paging != pagingAgain {
			t.Errorf("got %+v and error %v for %q, want %+v", pagingAgain, err, printed, paging)
		}
	})
}

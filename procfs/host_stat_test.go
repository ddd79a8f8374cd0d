package procfs

import (
	"fmt"
	"strings"
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

func TestParseCPUStatAllocs(t *testing.T) {
	text, got := fixture(t, "linux-6.18/host_stat"), new(CPUStat)
	wantNoAllocs(t, func() error { return ParseCPUStat(text, got) })
}

// FuzzParseCPUStat checks that the parser never panics, never returns a value with an error, and
// parses its printed result to the same value.
func FuzzParseCPUStat(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/host_stat"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again CPUStat
		if err := ParseCPUStat(text, &got); err != nil {
			if got != again {
				t.Errorf("got %+v and error %v, want no value with an error", got, err)
			}
			return
		}
		printed := fmt.Sprintf("cpu  %d 0 0 0 0 0 0\n", got.BusyTicks) + strings.Repeat("cpu\n", got.CPUs)
		if err := ParseCPUStat([]byte(printed), &again); err != nil || got != again {
			t.Errorf("got %+v and error %v for %q, want %+v", again, err, printed, got)
		}
	})
}

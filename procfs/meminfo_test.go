package procfs

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseMeminfo(t *testing.T) {
	const all = MeminfoTotal | MeminfoFree | MeminfoAvailable | MeminfoSwapTotal | MeminfoSwapFree
	tests := []struct {
		name, text string
		want       Meminfo
		bad        string // field of the ParseError
	}{
		{"6.18", string(fixture(t, "linux-6.18/meminfo")), Meminfo{TotalBytes: 24684084 << 10, FreeBytes: 24422172 << 10,
			AvailableBytes: 24350736 << 10, Have: all}, "none"},
		{"3.10", string(fixture(t, "linux-3.10/meminfo")), Meminfo{TotalBytes: 3881512 << 10, FreeBytes: 197180 << 10,
			SwapTotalBytes: 4063228 << 10, SwapFreeBytes: 4062452 << 10, Have: all &^ MeminfoAvailable}, "none"},
		{"empty", "", Meminfo{}, "none"},
		{"unknown keys", "HugePages_Total:   0\nMemTotals: x\n\n", Meminfo{}, "none"},
		{"cut", "MemTotal:  388", Meminfo{}, "MemTotal"},
		{"no unit", "MemFree:  388\n", Meminfo{}, "MemFree"},
		{"overflow", "SwapFree: 18014398509481984 kB\n", Meminfo{}, "SwapFree"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := Meminfo{TotalBytes: 5}
			got := before
			wantParseError(t, ParseMeminfo([]byte(tt.text), &got), "meminfo", tt.bad)
			if tt.bad != "none" {
				tt.want = before
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestParseMeminfoAllocs(t *testing.T) {
	text, dst := fixture(t, "linux-6.18/meminfo"), new(Meminfo)
	wantNoAllocs(t, func() error { return ParseMeminfo(text, dst) })
}

func BenchmarkParseMeminfo(b *testing.B) {
	text, dst := fixture(b, "linux-6.18/meminfo"), new(Meminfo)
	benchmark(b, text, func() error { return ParseMeminfo(text, dst) })
}

// FuzzParseMeminfo checks that ParseMeminfo never panics, never returns a value with an
// error, and parses its printed result to the same value.
func FuzzParseMeminfo(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/meminfo"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again Meminfo
		if err := ParseMeminfo(text, &got); err != nil {
			if got != (Meminfo{}) {
				t.Errorf("got %+v and error %v, want no value with an error", got, err)
			}
			return
		}
		var printed strings.Builder
		for _, key := range []string{"MemTotal", "MemFree", "MemAvailable", "SwapTotal", "SwapFree"} {
			if to, bit := got.field([]byte(key)); got.Have&bit != 0 {
				fmt.Fprintf(&printed, "%-16s%8d kB\n", key+":", *to>>10)
			}
		}
		if err := ParseMeminfo([]byte(printed.String()), &again); err != nil || again != got {
			t.Errorf("got %+v and error %v for %q, want %+v", again, err, printed.String(), got)
		}
	})
}

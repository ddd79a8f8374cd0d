package procfs

import (
	"fmt"
	"strings"
	"testing"
)

const smapsAll = SmapsRSS | SmapsPSS | SmapsUSS | SmapsSwap | SmapsSwapPSS

func TestParseSmaps(t *testing.T) {
	rollup := Smaps{RSSBytes: 64676 << 10, PSSBytes: 63218 << 10, USSBytes: (2920 + 60032) << 10, Have: smapsAll}
	// smaps rounds each mapping down to 1 kB; smaps_rollup rounds only the sum.
	smaps := rollup
	smaps.PSSBytes = 63208 << 10
	old := Smaps{RSSBytes: 168 << 10, PSSBytes: 138 << 10, USSBytes: 108 << 10, SwapBytes: 16 << 10, Have: smapsAll &^ SmapsSwapPSS}
	tests := []struct {
		name, text string
		want       Smaps
		bad        string // field of the ParseError
	}{
		{"6.18 rollup", string(fixture(t, "linux-6.18/smaps_rollup")), rollup, "none"},
		{"6.18", string(fixture(t, "linux-6.18/smaps")), smaps, "none"},
		{"3.10", string(fixture(t, "linux-3.10/smaps")), old, "none"},
		{"empty", "", Smaps{}, "none"},
		{"huge pages", "Rss: 0 kB\nShared_Hugetlb: 2048 kB\nPrivate_Hugetlb: 4096 kB\nSwap: 0 kB\n",
			Smaps{USSBytes: 4 << 20, Have: SmapsRSS | SmapsUSS | SmapsSwap}, "none"},
		{"parts of sums", "Pss: 9 kB\nPss_Anon: 4 kB\nPss_Dirty: 3 kB\nSwapPss: 2 kB\nSwap: 5 kB\nPrivate_X: 7 kB\n",
			Smaps{PSSBytes: 9 << 10, SwapBytes: 5 << 10, SwapPSSBytes: 2 << 10, Have: SmapsPSS | SmapsSwap | SmapsSwapPSS}, "none"},
		{"names in headings", "1-2 r--p 0 00:00 0  /Rss: 1 kB\n3-4 r--p 0 00:00 0  [anon:Pss: 1 kB]\n", Smaps{}, "none"},
		{"key not at line start", " Rss: 1 kB\n", Smaps{}, "none"},
		{"cut", "Rss: 1 kB\nPss: 1 k", Smaps{}, "Pss"},
		{"without its end", "Rss: 1 kB\nPss: 1 kB\n", Smaps{}, "Swap"},
		{"a share without its end", "Swap: 1 kB\nSwapPss: 1 kB\nSwap: 1 kB\n", Smaps{}, "Swap"},
		{"no unit", "Rss: 1\n", Smaps{}, "Rss"},
		{"no number", "Swap: kB\n", Smaps{}, "Swap"},
		{"overflow", "Private_Dirty: 18014398509481984 kB\n", Smaps{}, "Private_Dirty"},
		{"sum overflows", "Rss: 18014398509481983 kB\nRss: 1 kB\n", Smaps{}, "Rss"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := Smaps{RSSBytes: 5}
			got := before
			wantParseError(t, ParseSmaps([]byte(tt.text), &got), "smaps", tt.bad)
			if tt.bad != "none" {
				tt.want = before
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestParseSmapsAllocs(t *testing.T) {
	text, dst := fixture(t, "linux-6.18/smaps"), new(Smaps)
	wantNoAllocs(t, func() error { return ParseSmaps(text, dst) })
}

func BenchmarkParseSmaps(b *testing.B) {
	for _, name := range []string{"smaps_rollup", "smaps"} {
		b.Run(name, func(b *testing.B) {
			text, dst := fixture(b, "linux-6.18/"+name), new(Smaps)
			benchmark(b, text, func() error { return ParseSmaps(text, dst) })
		})
	}
}

// FuzzParseSmaps checks that ParseSmaps never panics, never returns a value with an
// error, and parses its printed result to the same value.
func FuzzParseSmaps(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/smaps_rollup"))
	f.Add(fixture(f, "linux-3.10/smaps"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again Smaps
		if err := ParseSmaps(text, &got); err != nil {
			if got != (Smaps{}) {
				t.Errorf("got %+v and error %v, want no value with an error", got, err)
			}
			return
		}
		var printed strings.Builder
		for _, key := range []string{"Rss", "Pss", "Private_Clean", "Swap", "SwapPss"} {
			if to, bit := got.sum([]byte(key)); got.Have&bit != 0 {
				fmt.Fprintf(&printed, "%-16s%8d kB\n", key+":", *to>>10)
			}
		}
		if err := ParseSmaps([]byte(printed.String()), &again); err != nil || again != got {
			t.Errorf("got %+v and error %v for %q, want %+v", again, err, printed.String(), got)
		}
	})
}

package procfs

import (
	"fmt"
	"math"
	"testing"
)

func TestParseBootTime(t *testing.T) {
	tests := []struct {
		name, text string
		want       uint64
		bad        bool
	}{
		{"6.18", string(fixture(t, "linux-6.18/host_stat")), 1795465491, false},
		{"3.10", string(fixture(t, "linux-3.10/host_stat")), 1419072540, false},
		{"alone", "btime 7\n", 7, false},
		{"1970", "cpu 1\nbtime 0\n", 0, false},
		{"empty", "", 0, true},
		{"hidden", "cpu 1\nintr 2\n", 0, true},
		{"not at line start", "cpu 1\nx btime 7\n", 0, true},
		{"longer key", "btimes 7\n", 0, true},
		{"cut", "cpu 1\nbtime 14190", 0, true},
		{"no number", "btime \n", 0, true},
		{"overflow", "btime 18446744073709551616\n", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			field := "none"
			if tt.bad {
				field = "btime"
			}
			got, err := ParseBootTime([]byte(tt.text))
			wantParseError(t, err, "stat", field)
			if got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestParseUptime(t *testing.T) {
	const most = math.MaxUint64 / 100 // whole seconds that fit
	tests := []struct {
		name, text string
		want       uint64
		bad        bool
	}{
		{"6.18", string(fixture(t, "linux-6.18/uptime")), 132583, false},
		{"3.10", string(fixture(t, "linux-3.10/uptime")), 15834, false},
		{"zero", "0.00 0.00\n", 0, false},
		{"no decimals", "158 1\n", 15800, false},
		{"one decimal", "158.3 1\n", 15830, false},
		{"leading zero", "158.04 1\n", 15804, false},
		{"nine decimals", "158.349999999 1\n", 15834, false},
		{"one number", "158.34\n", 15834, false},
		{"greatest", fmt.Sprintf("%d.15 1\n", uint64(most)), math.MaxUint64, false},
		{"overflow by decimals", fmt.Sprintf("%d.16 1\n", uint64(most)), 0, true},
		{"overflow by seconds", fmt.Sprintf("%d 1\n", uint64(most+1)), 0, true},
		{"empty", "", 0, true},
		{"blank line", "\n", 0, true},
		{"cut", "158.3", 0, true},
		{"no seconds", ".34 1\n", 0, true},
		{"no digit behind point", "158. 1\n", 0, true},
		{"two points", "158.34.1 1\n", 0, true},
		{"negative", "-158.34 1\n", 0, true},
		{"exponent", "1e9 1\n", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			field := "none"
			if tt.bad {
				field = ""
			}
			got, err := ParseUptime([]byte(tt.text))
			wantParseError(t, err, "uptime", field)
			if got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestParseHostAllocs(t *testing.T) {
	stat, uptime := fixture(t, "linux-6.18/host_stat"), fixture(t, "linux-6.18/uptime")
	wantNoAllocs(t, func() error { _, err := ParseBootTime(stat); return err })
	wantNoAllocs(t, func() error { _, err := ParseUptime(uptime); return err })
}

func BenchmarkParseBootTime(b *testing.B) {
	text := fixture(b, "linux-6.18/host_stat")
	benchmark(b, text, func() error { _, err := ParseBootTime(text); return err })
}

func BenchmarkParseUptime(b *testing.B) {
	text := fixture(b, "linux-6.18/uptime")
	benchmark(b, text, func() error { _, err := ParseUptime(text); return err })
}

// FuzzParseBootTime checks that ParseBootTime never panics, never returns a value with an
// error, and parses its printed result to the same value.
func FuzzParseBootTime(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/host_stat"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ParseBootTime(text)
		if err != nil && got != 0 {
			t.Errorf("got %d and error %v, want no value with an error", got, err)
		}
		again, againErr := ParseBootTime(fmt.Appendf(nil, "cpu 1\nbtime %d\n", got))
		if againErr != nil || again != got {
			t.Errorf("got %d and error %v, want %d", again, againErr, got)
		}
	})
}

// FuzzParseUptime checks that ParseUptime never panics, never returns a value with an
// error, and parses its printed result to the same value.
func FuzzParseUptime(f *testing.F) {
	f.Add([]byte("158.34 312.00\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ParseUptime(text)
		if err != nil && got != 0 {
			t.Errorf("got %d and error %v, want no value with an error", got, err)
		}
		again, againErr := ParseUptime(fmt.Appendf(nil, "%d.%02d 0.00\n", got/100, got%100))
		if againErr != nil || again != got {
			t.Errorf("got %d and error %v, want %d", again, againErr, got)
		}
	})
}

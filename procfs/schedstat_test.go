package procfs

import (
	"fmt"
	"testing"
)

func TestParseSchedstat(t *testing.T) {
	tests := []struct {
		name, text string
		want       Schedstat
		bad        bool
	}{
		{"6.18", string(fixture(t, "linux-6.18/schedstat")), Schedstat{72690934, 508494, 8}, false},
		{"3.10", string(fixture(t, "linux-3.10/schedstat")), Schedstat{911230114, 20113377, 5227}, false},
		{"off", "0 0 0\n", Schedstat{}, false},
		{"greatest", "18446744073709551615 1 2\n", Schedstat{1<<64 - 1, 1, 2}, false},
		{"empty", "", Schedstat{}, true},
		{"two", "1 2\n", Schedstat{}, true},
		{"four", "1 2 3 4\n", Schedstat{}, true},
		{"cut", "1 2 3", Schedstat{}, true},
		{"overflow", "1 2 18446744073709551616\n", Schedstat{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := Schedstat{Slices: 5}
			got, field := before, "none"
			if tt.bad {
				field, tt.want = "", before
			}
			wantParseError(t, ParseSchedstat([]byte(tt.text), &got), "schedstat", field)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseSchedstatAllocs(t *testing.T) {
	text, dst := fixture(t, "linux-6.18/schedstat"), new(Schedstat)
	wantNoAllocs(t, func() error { return ParseSchedstat(text, dst) })
}

func BenchmarkParseSchedstat(b *testing.B) {
	text, dst := fixture(b, "linux-6.18/schedstat"), new(Schedstat)
	benchmark(b, text, func() error { return ParseSchedstat(text, dst) })
}

// FuzzParseSchedstat checks that ParseSchedstat never panics, never returns a value with an
// error, and parses its printed result to the same value.
func FuzzParseSchedstat(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/schedstat"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again Schedstat
		if err := ParseSchedstat(text, &got); err != nil {
			if got != (Schedstat{}) {
				t.Errorf("got %+v and error %v, want no value with an error", got, err)
			}
			return
		}
		printed := fmt.Sprintln(got.RunNanoseconds, got.WaitNanoseconds, got.Slices)
		if err := ParseSchedstat([]byte(printed), &again); err != nil || again != got {
			t.Errorf("got %+v and error %v for %q, want %+v", again, err, printed, got)
		}
	})
}

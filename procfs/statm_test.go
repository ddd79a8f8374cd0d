package procfs

import (
	"fmt"
	"testing"
)

func TestParseStatm(t *testing.T) {
	tests := []struct {
		name, text string
		want       Statm
		bad        bool
	}{
		{"6.18", string(fixture(t, "linux-6.18/statm")), Statm{16865, 16169, 1161, 405, 0, 15034, 0}, false},
		{"3.10", string(fixture(t, "linux-3.10/statm")), Statm{31596, 430, 300, 15, 0, 265, 0}, false},
		{"kernel thread", "0 0 0 0 0 0 0\n", Statm{}, false},
		{"empty", "", Statm{}, true},
		{"six", "1 2 3 4 5 6\n", Statm{}, true},
		{"eight", "1 2 3 4 5 6 7 8\n", Statm{}, true},
		{"cut", "1 2 3 4 5 6 7", Statm{}, true},
		{"overflow", "18446744073709551616 2 3 4 5 6 7\n", Statm{}, true},
		{"negative", "1 -2 3 4 5 6 7\n", Statm{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := Statm{Size: 5}
			got, field := before, "none"
			if tt.bad {
				field, tt.want = "", before
			}
			wantParseError(t, ParseStatm([]byte(tt.text), &got), "statm", field)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseStatmAllocs(t *testing.T) {
	text, dst := fixture(t, "linux-6.18/statm"), new(Statm)
	wantNoAllocs(t, func() error { return ParseStatm(text, dst) })
}

func BenchmarkParseStatm(b *testing.B) {
	text, dst := fixture(b, "linux-6.18/statm"), new(Statm)
	benchmark(b, text, func() error { return ParseStatm(text, dst) })
}

// FuzzParseStatm checks that ParseStatm never panics, never returns a value with an
// error, and parses its printed result to the same value.
func FuzzParseStatm(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/statm"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again Statm
		if err := ParseStatm(text, &got); err != nil {
			if got != (Statm{}) {
				t.Errorf("got %+v and error %v, want no value with an error", got, err)
			}
			return
		}
		printed := fmt.Sprintln(got.Size, got.Resident, got.Shared, got.Text, got.Lib, got.Data, got.Dirty)
		if err := ParseStatm([]byte(printed), &again); err != nil || again != got {
			t.Errorf("got %+v and error %v for %q, want %+v", again, err, printed, got)
		}
	})
}

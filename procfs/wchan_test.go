package procfs

import (
	"bytes"
	"testing"
)

func TestParseWChan(t *testing.T) {
	tests := []struct {
		name, text, want string
	}{
		{"6.18", string(fixture(t, "linux-6.18/wchan")), "hrtimer_nanosleep"},
		{"3.10", string(fixture(t, "linux-3.10/wchan")), "hrtimer_nanosleep"},
		{"runs or hidden", "0", ""},
		{"runs, with newline", "0\n", ""},
		{"empty", "", ""},
		{"newline", "do_wait\n", "do_wait"},
		{"blanks", " \t\n", ""},
		{"starts with 0", "0xffff", "0xffff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ParseWChan([]byte(tt.text)); string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseWChanAllocs(t *testing.T) {
	text := []byte("do_wait\n")
	wantNoAllocs(t, func() error { ParseWChan(text); return nil })
}

func BenchmarkParseWChan(b *testing.B) {
	text := fixture(b, "linux-6.18/wchan")
	benchmark(b, text, func() error { ParseWChan(text); return nil })
}

// FuzzParseWChan checks that the result is a trimmed part of the text, and
// that parsing the result returns it unchanged.
func FuzzParseWChan(f *testing.F) {
	f.Add([]byte("do_wait\n"))
	f.Add([]byte("0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := ParseWChan(text)
		if !bytes.Contains(text, got) || string(got) == "0" || !bytes.Equal(ParseWChan(got), got) {
			t.Errorf("got %q for %q, want a trimmed part of it", got, text)
		}
	})
}

package procfs

import (
	"fmt"
	"testing"
)

func TestParseIO(t *testing.T) {
	tests := []struct {
		name, text string
		want       IO
		bad        string // field of the ParseError
	}{
		{"6.18", string(fixture(t, "linux-6.18/io")), IO{8704, 1000000, 14, 123, 1323008, 1007616, 1003520, IOAll}, "none"},
		{"3.10", string(fixture(t, "linux-3.10/io")), IO{812344, 9120, 1201, 88, 2281472, 12288, 4096, IOAll}, "none"},
		{"empty", "", IO{}, "none"},
		{"greatest", "rchar: 18446744073709551615\n", IO{ReadChars: 1<<64 - 1, Have: IOReadChars}, "none"},
		{"unknown keys", "rchars: 1\nsyscr : 1\n rchar: 1\nfoo\n\nwchar: 0\n", IO{Have: IOWriteChars}, "none"},
		{"unknown key cut", "wchar: 1\nfut", IO{WriteChars: 1, Have: IOWriteChars}, "none"},
		{"cut", "rchar: 1\nread_bytes: 12", IO{}, "read_bytes"},
		{"overflow", "write_bytes: 18446744073709551616\n", IO{}, "write_bytes"},
		{"negative", "cancelled_write_bytes: -1\n", IO{}, "cancelled_write_bytes"},
		{"no number", "syscw: \n", IO{}, "syscw"},
		{"no colon", "syscr\n", IO{}, "syscr"},
		{"word behind number", "wchar: 1 2\n", IO{}, "wchar"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := IO{ReadChars: 5}
			got := before
			wantParseError(t, ParseIO([]byte(tt.text), &got), "io", tt.bad)
			if tt.bad != "none" {
				tt.want = before
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseIOAllocs(t *testing.T) {
	text, dst := fixture(t, "linux-6.18/io"), new(IO)
	wantNoAllocs(t, func() error { return ParseIO(text, dst) })
}

func BenchmarkParseIO(b *testing.B) {
	text, dst := fixture(b, "linux-6.18/io"), new(IO)
	benchmark(b, text, func() error { return ParseIO(text, dst) })
}

// FuzzParseIO checks that ParseIO never panics, never returns a value with an
// error, and parses its printed result to the same value.
func FuzzParseIO(f *testing.F) {
	f.Add(fixture(f, "linux-6.18/io"))
	f.Add([]byte("read_bytes: 1\nwrite_bytes: x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again IO
		if err := ParseIO(text, &got); err != nil {
			if got != (IO{}) {
				t.Errorf("got %+v and error %v, want no value with an error", got, err)
			}
			return
		}
		printed := fmt.Sprintf("rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d\nread_bytes: %d\nwrite_bytes: %d\ncancelled_write_bytes: %d\n",
			got.ReadChars, got.WriteChars, got.ReadSyscalls, got.WriteSyscalls, got.ReadBytes, got.WriteBytes, got.CancelledWriteBytes)
		err := ParseIO([]byte(printed), &again)
		if got.Have = IOAll; err != nil || again != got {
			t.Errorf("got %+v and error %v for %q, want %+v", again, err, printed, got)
		}
	})
}

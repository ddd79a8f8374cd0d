package procfs

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestAppendArgs(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"6.18, empty argument at end", string(fixture(t, "linux-6.18/cmdline")), []string{"perl", "-e", "sleep 40", "worker", "--flag="}},
		{"empty", "", nil},
		{"one", "foo\x00", []string{"foo"}},
		{"no NUL at end", "foo\x00bar", []string{"foo", "bar"}},
		{"NULs at end", "foo\x00bar\x00\x00\x00", []string{"foo", "bar"}},
		{"empty between", "foo\x00\x00bar\x00", []string{"foo", "", "bar"}},
		{"empty first", "\x00foo\x00", []string{"", "foo"}},
		{"one NUL", "\x00", []string{""}},
		{"only NULs", "\x00\x00\x00", []string{""}},
		{"status text", "nginx: worker process\x00\x00\x00\x00", []string{"nginx: worker process"}},
		{"blanks and newline kept", "foo \n\x00 \x00", []string{"foo \n", " "}},
		{"not UTF-8", "\xff\x00", []string{"\xff"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := AppendArgs([]string{"first"}, []byte(tt.text))
			if want := append([]string{"first"}, tt.want...); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestAppendArgsCopies(t *testing.T) {
	text := []byte("foo\x00bar\x00")
	got := AppendArgs(nil, text)
	clear(text)
	if want := []string{"foo", "bar"}; !slices.Equal(got, want) {
		t.Errorf("got %q after the text changed, want %q", got, want)
	}
}

func TestAppendArgsAllocs(t *testing.T) {
	text, dst := fixture(t, "linux-6.18/cmdline"), make([]string, 0, 8)
	if n := testing.AllocsPerRun(100, func() { AppendArgs(dst, text) }); n != 1 {
		t.Errorf("got %v allocations, want 1", n)
	}
}

func BenchmarkAppendArgs(b *testing.B) {
	text, dst := fixture(b, "linux-6.18/cmdline"), make([]string, 0, 16)
	benchmark(b, text, func() error { AppendArgs(dst, text); return nil })
}

// FuzzAppendArgs checks that the joined arguments are the text without
// trailing NULs.
func FuzzAppendArgs(f *testing.F) {
	f.Add([]byte("foo\x00\x00bar\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := AppendArgs(nil, text)
		if want := string(bytes.TrimRight(text, "\x00")); strings.Join(got, "\x00") != want {
			t.Errorf("got %q, want the parts of %q", got, want)
		}
		if (len(got) == 0) != (len(text) == 0) {
			t.Errorf("got %d arguments from %d bytes, want at most one per byte", len(got), len(text))
		}
	})
}

func TestAppendArgsOrTitle(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"kernel thread", "", nil},
		{"usual", "foo\x00bar\x00", []string{"foo", "bar"}},
		{"empty argument at the end", "foo\x00bar\x00\x00", []string{"foo", "bar", ""}},
		{"only an empty argument", "\x00", []string{""}},
		{"title with blanks", "foo bar ", []string{"foo", "bar"}},
		{"title with two spaces at the end", "foo bar  ", []string{"foo", "bar", ""}},
		{"one argument with a space", "foo bar\x00", []string{"foo bar"}},
		{"padded title", "nginx: master\x00\x00\x00", []string{"nginx: master", "", ""}},
		{"line breaks", "a\r\nb\x00c\r\x00", []string{"a\r\nb", "c\r"}},
		{"not UTF-8", "\xff\x00", []string{"\xff"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := AppendArgsOrTitle(nil, []byte(tt.text)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzAppendArgsOrTitle checks that the joined strings are the text.
func FuzzAppendArgsOrTitle(f *testing.F) {
	f.Add([]byte("foo\x00bar\x00"))
	f.Add([]byte("foo bar"))
	f.Fuzz(func(t *testing.T, text []byte) {
		args := AppendArgsOrTitle(nil, text)
		if len(text) == 0 {
			if args != nil {
				t.Errorf("got %q for empty text, want none", args)
			}
			return
		}
		separator := "\x00"
		if text[len(text)-1] != 0 {
			separator = " "
		}
		if got := strings.Join(args, separator); got != string(text) && got+separator != string(text) {
			t.Errorf("got %q, want %q", got, text)
		}
	})
}

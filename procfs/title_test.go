package procfs

import (
	"reflect"
	"strings"
	"testing"
)

func TestAppendTitle(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"kernel thread", "", nil},
		{"usual", "foo\x00bar\x00", []string{"foo", "bar"}},
		{"empty argument at the end", "foo\x00bar\x00\x00", []string{"foo", "bar", ""}},
		{"only an empty argument", "\x00", []string{""}},
		{"title with blanks", "foo bar ", []string{"foo", "bar"}},
		{"title with an empty word", "foo bar  ", []string{"foo", "bar", ""}},
		{"one argument with a space", "foo bar\x00", []string{"foo bar"}},
		{"padded title", "nginx: master\x00\x00\x00", []string{"nginx: master", "", ""}},
		{"line breaks stay", "a\r\nb\x00c\r\x00", []string{"a\r\nb", "c\r"}},
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

// FuzzAppendTitle asserts that the words, put together again, are the text.
func FuzzAppendTitle(f *testing.F) {
	f.Add([]byte("foo\x00bar\x00"))
	f.Add([]byte("foo bar"))
	f.Fuzz(func(t *testing.T, text []byte) {
		words := AppendArgsOrTitle(nil, text)
		if len(text) == 0 {
			if words != nil {
				t.Errorf("got %q of nothing", words)
			}
			return
		}
		separator := "\x00"
		if text[len(text)-1] != 0 {
			separator = " "
		}
		if got := strings.Join(words, separator); got != string(text) && got+separator != string(text) {
			t.Errorf("got %q, want %q", got, text)
		}
	})
}

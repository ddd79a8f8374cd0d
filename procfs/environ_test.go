package procfs

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseEnviron(t *testing.T) {
	type vars = map[string]string
	tests := []struct {
		name, text string
		want       vars
	}{
		{"empty", "", vars{}},
		{"usual", "A=1\x00B=x=y\x00", vars{"A": "1", "B": "x=y"}},
		{"empty value", "A=\x00", vars{"A": ""}},
		{"last of two counts", "A=1\x00A=2\x00", vars{"A": "2"}},
		{"no name", "=C:=x\x00A=1\x00", vars{"A": "1"}},
		{"no equals sign", "junk\x00A=1\x00", vars{"A": "1"}},
		{"stops at an empty one", "A=1\x00\x00B=2\x00", vars{"A": "1"}},
		{"not ended", "A=1\x00B=2", vars{"A": "1"}},
		{"carriage return stays", "A=1\r\n2\x00", vars{"A": "1\r\n2"}},
		{"not UTF-8", "A\xff=\xfe\x00", vars{"A\xff": "\xfe"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ParseEnviron([]byte(tt.text)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzParseEnviron checks that no name is empty or contains "=" or NUL, and that
// no value contains NUL.
func FuzzParseEnviron(f *testing.F) {
	f.Add([]byte("A=1\x00=\x00B\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, value := range ParseEnviron(text) {
			if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
				t.Errorf("got name %q and value %q, want no separators in them", name, value)
			}
		}
	})
}

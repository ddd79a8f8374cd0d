package grouping

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLabelValue(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"ASCII", "java", "java"},
		{"UTF-8", "línea 行", "línea 行"},
		{"control characters", "a\x00\n", "a\x00\n"},
		{"Latin-1", "caf\xe9", "caf\uFFFDe9"},
		{"truncated character", "行\xe8\xa1", "行\uFFFDe8\uFFFDa1"},
		{"replacement character", "a\uFFFDb", "a\uFFFDef\uFFFDbf\uFFFDbdb"},
		{"escaped text", "caf\uFFFDe9", "caf\uFFFDef\uFFFDbf\uFFFDbde9"},
		{"surrogate", "\xed\xa0\x80", "\uFFFDed\uFFFDa0\uFFFD80"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := LabelValue(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLabelValueAllocs(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { LabelValue("línea 行") }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// FuzzLabelValue checks that label values are UTF-8, that UTF-8 without U+FFFD is
// unchanged, and that the name can be derived from the label value, so that no two names
// share one.
func FuzzLabelValue(f *testing.F) {
	f.Add("java")
	f.Add("caf\xe9 \uFFFD \uFFFDe9")
	f.Fuzz(func(t *testing.T, name string) {
		label := LabelValue(name)
		if !utf8.ValidString(label) {
			t.Errorf("%q: got label %q, want UTF-8", name, label)
		}
		if utf8.ValidString(name) && !strings.Contains(name, "\uFFFD") && label != name {
			t.Errorf("%q: got label %q, want it unchanged", name, label)
		}
		if got := unlabel(t, label); got != name {
			t.Errorf("label %q: got name %q, want %q", label, got, name)
		}
	})
}

// unlabel is the inverse of LabelValue.
func unlabel(t *testing.T, label string) string {
	t.Helper()
	var name strings.Builder
	for {
		before, after, found := strings.Cut(label, "\uFFFD")
		name.WriteString(before)
		if !found {
			return name.String()
		}
		if len(after) < 2 {
			t.Fatalf("label ends after %q", before)
		}
		b, err := strconv.ParseUint(after[:2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		name.WriteByte(byte(b))
		label = after[2:]
	}
}

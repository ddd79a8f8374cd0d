package nearest

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	keys := []string{"process_names", "name", "comm", "exe", "cmdline", "cgroup", "children", "threads"}
	tests := []struct {
		name, typed string
		known       []string
		want        string
	}{
		{name: "missing letter", typed: "process_name", known: keys, want: "process_names"},
		{name: "swapped letters", typed: "process_nmaes", known: keys, want: "process_names"},
		{name: "dash", typed: "process-names", known: keys, want: "process_names"},
		{name: "upper case", typed: "Comm", known: keys, want: "comm"},
		{name: "other case before a nearer name", typed: "Pid", known: []string{"Pod", "PID"}, want: "PID"},
		{name: "plural", typed: "exes", known: keys, want: "exe"},
		{name: "nearer of two", typed: "cmdlin", known: keys, want: "cmdline"},
		{name: "first of equals", typed: "abxx", known: []string{"abcx", "abdx"}, want: "abcx"},
		{name: "different name", typed: "processes", known: keys[1:]},
		{name: "empty name", known: keys},
		{name: "no known names", typed: "comm"},
		{name: "name of 4 MiB", typed: strings.Repeat("comm", 1<<20), known: keys},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := Nearest(tt.typed, tt.known)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("got %q, %v, want %q, %v", got, ok, tt.want, tt.want != "")
			}
		})
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"kitten", "sitting", 3},
		{"listen-addrss", "listen-address", 1},
		{"ab", "ba", 2},
	}
	for _, tt := range tests {
		if got := Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

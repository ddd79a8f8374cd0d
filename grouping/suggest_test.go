package grouping

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	fileKeys, ruleKeys := keyNames(fileKeys), keyNames(ruleKeys)
	tests := []struct {
		name, word string
		known      []string
		want       string
	}{
		{"letter missing", "process_name", fileKeys, "process_names"},
		{"swapped", "proces_snames", fileKeys, "process_names"},
		{"dash", "process-names", fileKeys, "process_names"},
		{"case", "Comm", ruleKeys, "comm"},
		{"plural", "exes", ruleKeys, "exe"},
		{"nearer of two", "cmdlin", ruleKeys, "cmdline"},
		{"another word", "processes", ruleKeys, ""},
		{"empty", "", ruleKeys, ""},
		{"nothing known", "comm", nil, ""},
		{"endless", strings.Repeat("comm", 1<<18), ruleKeys, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := nearest(tt.word, tt.known); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

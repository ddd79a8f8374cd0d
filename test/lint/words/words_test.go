package main

import (
	"slices"
	"testing"
)

func TestExtract(t *testing.T) {
	tests := []struct {
		name, file, text string
		want             []string
	}{
		{name: "Go comment and string", file: "a.go", text: "x := f(\"two words\") // a comment", want: []string{" a comment", "two words"}},
		{name: "strings of tests are free", file: "a_test.go", text: "x := f(\"two words\")"},
		{name: "URL in a string", file: "a.go", text: `x := "http://example.com/a b"`, want: []string{"http://example.com/a b"}},
		{name: "C block comment", file: "a.c", text: "/* first\n * second */", want: []string{" first", " second */"}},
		{name: "Markdown code", file: "a.md", text: "one `code` two\n```\nthree\n```\nfour", want: []string{"one   two", "four"}},
		{name: "shell comment", file: "a.sh", text: "x=1 # why", want: []string{" why"}},
		{name: "generated", file: "tasks_x86_bpfel.go", text: "// anew"},
		{name: "binary", file: "a.png", text: "// anew"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			if extract := extractorOf(tt.file); extract != nil {
				for _, p := range extract(tt.text) {
					got = append(got, p.text)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestList(t *testing.T) {
	words, err := parseList(wordList)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		text string
		want int
	}{
		{"Returns the number of processes.", 0},
		{"Whoever reads this meanwhile is told.", 3},
		{"a goroutine of its own", 1},
		{"the CPU time of its own process", 0},
		{"the client who asks", 1},
		{"There (behind it) is more.", 0},
	}
	for _, tt := range tests {
		if got := words.in(tt.text); len(got) != tt.want {
			t.Errorf("%q: got %q, want %d words", tt.text, got, tt.want)
		}
	}
}

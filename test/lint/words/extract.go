package main

import (
	"path/filepath"
	"regexp"
	"strings"
)

// A piece is prose from one line of a file.
type piece struct {
	line int
	text string
}

var (
	lineComment  = regexp.MustCompile(`(?:^|[^:"'])//(.*)$`)
	blockComment = regexp.MustCompile(`^\s*/?\*+(.*)$`)
	hashComment  = regexp.MustCompile(`(?:^|\s)#(.*)$`)
	goString     = regexp.MustCompile("\"((?:[^\"\\\\]|\\\\.)*)\"|`([^`]*)`")
	inlineCode   = regexp.MustCompile("`[^`]*`|\\]\\([^)]*\\)")
)

// extractorOf returns the function that finds the prose in a file of this name,
// or nil if the file has none.
func extractorOf(name string) func(text string) []piece {
	switch base := filepath.Base(name); {
	case strings.Contains(base, "_bpfel.") || strings.Contains(name, "testdata/fuzz/"):
		return nil // generated
	case strings.HasSuffix(base, "_test.go"):
		return comments
	case strings.HasSuffix(base, ".go"):
		return func(text string) []piece { return append(comments(text), literals(text)...) }
	case strings.HasSuffix(base, ".c"), strings.HasSuffix(base, ".h"), strings.HasSuffix(base, ".js"), strings.HasSuffix(base, ".mjs"):
		return comments
	case strings.HasSuffix(base, ".md"):
		return markdown
	case strings.HasSuffix(base, ".sh"), strings.HasSuffix(base, ".yml"), strings.HasSuffix(base, ".yaml"), base == "Makefile", base == "Dockerfile":
		return hashComments
	}
	return nil
}

func comments(text string) []piece {
	return eachLine(text, func(line string) []string {
		if m := lineComment.FindStringSubmatch(line); m != nil {
			return m[1:]
		}
		if m := blockComment.FindStringSubmatch(line); m != nil {
			return m[1:]
		}
		return nil
	})
}

func hashComments(text string) []piece {
	return eachLine(text, func(line string) []string {
		if m := hashComment.FindStringSubmatch(line); m != nil {
			return m[1:]
		}
		return nil
	})
}

// literals returns the Go strings of several words.
func literals(text string) []piece {
	return eachLine(text, func(line string) (found []string) {
		code, _, _ := strings.Cut(line, " //")
		for _, m := range goString.FindAllStringSubmatch(code, -1) {
			if s := m[1] + m[2]; strings.Contains(s, " ") {
				found = append(found, s)
			}
		}
		return found
	})
}

// markdown returns the text outside of code.
func markdown(text string) []piece {
	code := false
	return eachLine(text, func(line string) []string {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
			return nil
		}
		if code {
			return nil
		}
		return []string{inlineCode.ReplaceAllString(line, " ")}
	})
}

// eachLine returns what extract finds in every line of text.
func eachLine(text string, extract func(line string) []string) (out []piece) {
	for i, line := range strings.Split(text, "\n") {
		for _, found := range extract(line) {
			out = append(out, piece{i + 1, found})
		}
	}
	return out
}

// Command words reports words that the project's language guide excludes. It
// reads the comments of Go, C, JavaScript, shell and YAML files, the strings of Go files
// that are not tests, and the prose of Markdown files, and exits with status 1
// if it finds one. It reads the files that git tracks below a directory.
package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed words.txt
var wordList string

// A word is one excluded expression.
type word struct {
	pattern *regexp.Regexp
	instead string
}

// A list holds the excluded expressions and the phrases that are exempt.
type list struct {
	words  []word
	exempt []string
}

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	found, err := check(root, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
		os.Exit(2)
	}
	if found > 0 {
		os.Exit(1)
	}
}

// check prints every excluded word in the files below root and returns their
// number.
func check(root string, out *os.File) (found int, err error) {
	words, err := parseList(wordList)
	if err != nil {
		return 0, err
	}
	files, err := exec.Command("git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		return 0, fmt.Errorf("git ls-files: %w", err)
	}
	read := 0
	for name := range strings.SplitSeq(strings.TrimRight(string(files), "\x00"), "\x00") {
		extract := extractorOf(name)
		if extract == nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) { // removed, but not yet committed
			continue
		}
		if err != nil {
			return found, err
		}
		read++
		for _, p := range extract(string(text)) {
			for _, w := range words.in(p.text) {
				fmt.Fprintf(out, "%s:%d: %s\n", name, p.line, w)
				found++
			}
		}
	}
	if read == 0 {
		return 0, fmt.Errorf("no files below %s", root)
	}
	return found, nil
}

// parseList reads the format of words.txt.
func parseList(text string) (list, error) {
	var l list
	scanner := bufio.NewScanner(strings.NewReader(text))
	for n := 1; scanner.Scan(); n++ {
		line := scanner.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		if phrase, ok := strings.CutPrefix(line, "!"); ok {
			l.exempt = append(l.exempt, phrase)
			continue
		}
		expression, instead, _ := strings.Cut(line, "\t")
		pattern, err := regexp.Compile(`(?i)\b(?:` + expression + `)\b`)
		if err != nil {
			return list{}, fmt.Errorf("words.txt:%d: %w", n, err)
		}
		l.words = append(l.words, word{pattern, instead})
	}
	return l, scanner.Err()
}

// in returns a message for each excluded word in text.
func (l *list) in(text string) (messages []string) {
	for _, phrase := range l.exempt {
		text = strings.ReplaceAll(text, phrase, "")
	}
	for _, w := range l.words {
		if found := w.pattern.FindString(text); found != "" {
			messages = append(messages, fmt.Sprintf("%q: write %s", found, w.instead))
		}
	}
	return messages
}

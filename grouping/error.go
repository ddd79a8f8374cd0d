package grouping

import (
	"fmt"
	"strings"
)

// A ConfigError tells what is wrong with a configuration, where, and what to
// do about it. Its text is one line, for it ends in logs.
type ConfigError struct {
	Path   string
	Line   int    // counted from 1; 0 where the file as a whole is the trouble
	Column int    // counted from 1; 0 where only the line is known
	Text   string // what is wrong; remedy
	Err    error  // the cause, nil where Text says it all
}

func (e *ConfigError) Error() string { return position(e.Path, e.Line, e.Column) + e.Text }

func (e *ConfigError) Unwrap() error { return e.Err }

// A Warning is about a configuration that works, but hardly as its author
// means it.
type Warning struct {
	Path   string
	Line   int // counted from 1
	Column int // counted from 1; 0 where only the line is known
	Text   string
}

func (w Warning) String() string { return position(w.Path, w.Line, w.Column) + w.Text }

// position is what editors and people expect before a complaint about a file.
func position(path string, line, column int) string {
	switch {
	case line == 0:
		return path + ": "
	case column == 0:
		return fmt.Sprintf("%s:%d: ", path, line)
	}
	return fmt.Sprintf("%s:%d:%d: ", path, line, column)
}

// maxText is how many bytes of a message are shown. What it copies from the file
// may be as long as the file.
const maxText = 600

// oneLine keeps words that were copied from the file, or from an error of a
// library, from breaking the line, and from filling a log. The beginning of a
// message says what is wrong, and its end what to do.
func oneLine(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText/2], "") + " ... " + strings.ToValidUTF8(text[len(text)-maxText/2:], "")
	}
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
}

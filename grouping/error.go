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

// oneLine keeps words that were copied from the file, or from an error of a
// library, from breaking the line.
func oneLine(text string) string {
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
}

package grouping

import (
	"fmt"
	"strings"
)

// A ConfigError describes why a configuration cannot be used, where, and the remedy.
// Its text is one line, because it is logged.
type ConfigError struct {
	Path   string
	Line   int    // counted from 1; 0 if the error concerns the whole file
	Column int    // counted from 1; 0 if only the line is known
	Text   string // description and remedy
	Err    error  // the cause, or nil
}

func (e *ConfigError) Error() string { return position(e.Path, e.Line, e.Column) + e.Text }

func (e *ConfigError) Unwrap() error { return e.Err }

// A Warning describes a likely mistake in a configuration that can be used.
type Warning struct {
	Path   string
	Line   int // counted from 1
	Column int // counted from 1; 0 if only the line is known
	Text   string
}

func (w Warning) String() string { return position(w.Path, w.Line, w.Column) + w.Text }

// position returns the prefix of a message about a file, in the format that editors
// recognize.
func position(path string, line, column int) string {
	switch {
	case line == 0:
		return path + ": "
	case column == 0:
		return fmt.Sprintf("%s:%d: ", path, line)
	}
	return fmt.Sprintf("%s:%d:%d: ", path, line, column)
}

// maxMessage limits a message, in bytes. A message can quote text as long as the file.
const maxMessage = 600

// shortenedLine returns text as one line of at most maxMessage bytes. Text that is quoted from
// the file or from a library can be longer. It shortens the middle of a message, because
// the beginning describes the error and the end the remedy.
func shortenedLine(text string) string {
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage/2], "") + " ... " + strings.ToValidUTF8(text[len(text)-maxMessage/2:], "")
	}
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
}

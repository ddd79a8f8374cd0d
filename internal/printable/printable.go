// Package printable escapes characters that could control a terminal. Local users choose the names
// of processes, and remote servers their responses.
package printable

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text escapes non-printable characters and invalid UTF-8 for a line of text.
func Text(s string) string {
	if utf8.ValidString(s) && !slices.ContainsFunc([]rune(s), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	quoted := fmt.Sprintf("%+q", s)
	return quoted[1 : len(quoted)-1]
}

// JSON escapes the control characters that encoding/json does not: DEL and U+0080 to U+009F. In
// JSON they occur only in strings.
func JSON(text []byte) []byte {
	if !bytes.ContainsFunc(text, isRawControl) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for _, r := range string(text) {
		if isRawControl(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

func isRawControl(r rune) bool { return r >= 0x7f && r <= 0x9f }

// A JSONWriter writes JSON to another writer. It escapes as [JSON] does. Each Write must consist
// of whole characters.
type JSONWriter struct{ W io.Writer }

// Write implements [io.Writer].
func (w JSONWriter) Write(p []byte) (int, error) {
	if _, err := w.W.Write(JSON(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// A Writer writes lines of text to a terminal. It escapes all characters that are not printable
// except line feeds and tabs, with the syntax of JSON, so that JSON stays valid.
type Writer struct {
	w          io.Writer
	incomplete []byte // first bytes of a character that the next Write completes
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	text := append(w.incomplete, p...)
	out := make([]byte, 0, len(text))
	for len(text) > 0 && utf8.FullRune(text) {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			out = fmt.Appendf(out, `\x%02x`, text[0])
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			out = append(out, text[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[size:]
	}
	w.incomplete = slices.Clone(text)
	if _, err := w.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

package grouping

import (
	"io"
	"text/template/parse"

	"github.com/seed57308aee/process_exporter/grouping/redact"
)

// A piece is a part of a name.
type piece func(s *subject) string

// plainPieces returns what a template consists of, if that is no more than text
// and words one after the other, as in nearly every configuration. Such a name is
// put together at a tenth of the cost of executing the template, which thousands
// of processes that start in a second make felt.
func plainPieces(root *parse.ListNode) (pieces []piece, ok bool) {
	for _, n := range root.Nodes {
		switch n := n.(type) {
		case *parse.CommentNode:
		case *parse.TextNode:
			text := string(n.Text)
			pieces = append(pieces, func(*subject) string { return text })
		case *parse.ActionNode:
			word := plainWord(n.Pipe)
			if word == nil {
				return nil, false
			}
			pieces = append(pieces, word)
		default:
			return nil, false
		}
	}
	return pieces, true
}

// plainWord returns the word that a pipeline consists of, or nil if it is more
// than that.
func plainWord(pipe *parse.PipeNode) piece {
	if len(pipe.Decl) > 0 || len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 1 {
		return nil
	}
	field, ok := pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok {
		return nil
	}
	switch {
	case len(field.Ident) == 1:
		return plainWords[field.Ident[0]]
	case len(field.Ident) == 2 && field.Ident[0] == "Matches":
		name := field.Ident[1]
		return func(s *subject) string {
			if value, ok := s.matches[name]; ok {
				return redact.Secrets(value)
			}
			return "<no value>" // as a template prints what a map lacks
		}
	}
	return nil
}

// plainWords are the words that are texts.
var plainWords = map[string]piece{
	"Comm":             func(s *subject) string { return s.id.Comm },
	"ExeBase":          func(s *subject) string { return redact.Secrets(s.exeBase()) },
	"ExeFull":          func(s *subject) string { return redact.Secrets(s.exeFull()) },
	"Username":         func(s *subject) string { return s.id.Username },
	"Exe":              func(s *subject) string { return s.id.Exe },
	"Unit":             func(s *subject) string { return s.place().Unit },
	"Slice":            func(s *subject) string { return s.place().Slice },
	"ContainerID":      func(s *subject) string { return s.place().ContainerID },
	"ContainerRuntime": func(s *subject) string { return s.place().Runtime },
	"PodUID":           func(s *subject) string { return s.place().PodUID },
	"Parent":           (*subject).parent,
	"App":              func(s *subject) string { return redact.Secrets(s.app()) },
}

// join writes the pieces of a name, until there is no more room for them.
func join(w io.Writer, pieces []piece, s *subject) error {
	for _, p := range pieces {
		if _, err := io.WriteString(w, p(s)); err != nil {
			return err
		}
	}
	return nil
}

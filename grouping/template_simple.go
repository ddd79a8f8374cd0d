package grouping

import (
	"io"
	"text/template/parse"

	"github.com/seed57308aee/process_exporter/grouping/redact"
)

// A namePart produces a part of a name.
type namePart func(c *candidate) string

// simpleParts returns the parts of a template that consists of text and string fields
// only, as nearly every configuration does. It reports false for other templates.
// Concatenating the parts costs a tenth of executing the template, which matters when
// thousands of processes start per second.
func simpleParts(root *parse.ListNode) (parts []namePart, ok bool) {
	for _, n := range root.Nodes {
		switch n := n.(type) {
		case *parse.CommentNode:
		case *parse.TextNode:
			text := string(n.Text)
			parts = append(parts, func(*candidate) string { return text })
		case *parse.ActionNode:
			field := simpleField(n.Pipe)
			if field == nil {
				return nil, false
			}
			parts = append(parts, field)
		default:
			return nil, false
		}
	}
	return parts, true
}

// simpleField returns the string field that a pipeline consists of, or nil if it
// contains anything else.
func simpleField(pipe *parse.PipeNode) namePart {
	if len(pipe.Decl) > 0 || len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 1 {
		return nil
	}
	field, ok := pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok {
		return nil
	}
	switch {
	case len(field.Ident) == 1:
		return stringFields[field.Ident[0]]
	case len(field.Ident) == 2 && field.Ident[0] == "Matches":
		name := field.Ident[1]
		return func(c *candidate) string {
			if value, ok := c.capturedText[name]; ok {
				return redact.Secrets(value)
			}
			return "<no value>" // as text/template prints a missing key of a map
		}
	}
	return nil
}

// stringFields are the template fields whose type is string.
var stringFields = map[string]namePart{
	"Comm":             func(c *candidate) string { return c.id.Comm },
	"Program":          func(c *candidate) string { return redact.Secrets(c.program()) },
	"ExeBase":          func(c *candidate) string { return redact.Secrets(c.exeBase()) },
	"ExeFull":          func(c *candidate) string { return redact.Secrets(c.exeFull()) },
	"Username":         func(c *candidate) string { return c.id.Username },
	"Exe":              func(c *candidate) string { return c.id.Exe },
	"Unit":             func(c *candidate) string { return c.cgroup().Unit },
	"Slice":            func(c *candidate) string { return c.cgroup().Slice },
	"ContainerID":      func(c *candidate) string { return c.cgroup().ContainerID },
	"ContainerRuntime": func(c *candidate) string { return c.cgroup().Runtime },
	"InnerUnit":        func(c *candidate) string { return c.innerCgroup().Unit },
	"InnerContainerID": func(c *candidate) string { return c.innerCgroup().ContainerID },
	"PodUID":           func(c *candidate) string { return c.cgroup().PodUID },
	"Pod":              func(c *candidate) string { return c.id.Container.Pod },
	"PodNamespace":     func(c *candidate) string { return c.id.Container.PodNamespace },
	"ContainerName":    func(c *candidate) string { return c.id.Container.Container },
	"ComposeService":   func(c *candidate) string { return c.id.Container.ComposeService },
	"ComposeProject":   func(c *candidate) string { return c.id.Container.ComposeProject },
	"Parent":           (*candidate).parent,
	"App":              func(c *candidate) string { return redact.Secrets(c.app()) },
}

// writeParts writes the parts of a name to w until a write fails.
func writeParts(w io.Writer, parts []namePart, c *candidate) error {
	for _, part := range parts {
		if _, err := io.WriteString(w, part(c)); err != nil {
			return err
		}
	}
	return nil
}

package grouping

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"github.com/seed57308aee/process_exporter/grouping/redact"
	"github.com/seed57308aee/process_exporter/platform"
)

// defaultTemplate is the name of rules that give none.
const defaultTemplate = "{{.ExeBase}}"

const (
	// maxNameBytes cuts names, of which groups keep less, but tell them apart by
	// all of this.
	maxNameBytes = 64 << 10

	// maxSteps bounds the loops of a template, which one may write over a
	// number as large as one likes.
	maxSteps = 10_000
)

// A nameTemplate makes the name of a group, or the value of a label, from the
// words of a process.
type nameTemplate struct {
	tmpl   *template.Template
	needs  platform.IdentityFields
	text   string // what it yields, if that is always the same
	static bool
	pieces []piece // what it consists of, if plain
	plain  bool
}

// templateWords is what a template sees as its dot. What is worked out only for
// those who ask is a method, which a template calls like a field.
type templateWords struct {
	basicWords
	s *subject
}

// basicWords are the words that print together as {{.}}.
type basicWords struct {
	Comm      string
	ExeBase   string
	ExeFull   string
	Username  string
	PID       int
	StartTime time.Time
	Matches   map[string]string
	Cgroups   []string
}

// String returns what {{.}} prints.
func (w *templateWords) String() string { return fmt.Sprint(w.basicWords) }

// Exe is the path of the program's file.
func (w *templateWords) Exe() string { return w.s.id.Exe }

// Unit is the systemd unit that the process belongs to.
func (w *templateWords) Unit() string { return w.s.place().Unit }

// Slice is the systemd slice that the process belongs to.
func (w *templateWords) Slice() string { return w.s.place().Slice }

// ContainerID is the id of the container that the process runs in.
func (w *templateWords) ContainerID() string { return w.s.place().ContainerID }

// ContainerRuntime is what made that container, such as docker.
func (w *templateWords) ContainerRuntime() string { return w.s.place().Runtime }

// PodUID is the uid of the Kubernetes pod that the process runs in.
func (w *templateWords) PodUID() string { return w.s.place().PodUID }

// Parent is the name of the parent process.
func (w *templateWords) Parent() string { return w.s.parent() }

// App is what an interpreter runs, such as the module given to python.
func (w *templateWords) App() string { return redact.Secrets(w.s.app()) }

// parseTemplate reads the text of a template and finds out which words it
// looks at.
func parseTemplate(text string) (*nameTemplate, error) {
	tmpl, err := template.New("name").Funcs(boundedFuncs()).Funcs(templateFuncs()).Parse(text)
	if err != nil {
		return nil, err
	}
	t := &nameTemplate{tmpl: tmpl}
	t.text, t.static = fixedText(tmpl)
	t.pieces, t.plain = plainPieces(tmpl.Root)
	for _, part := range tmpl.Templates() {
		if part.Tree == nil {
			continue
		}
		if err := checkFuncs(part.Root); err != nil {
			return nil, err
		}
		walk(part.Root, func(n parse.Node) {
			t.needs |= wordsOf(n)
			if r, ok := n.(*parse.RangeNode); ok {
				countSteps(r.List)
			}
		})
		countSteps(part.Root)
	}
	return t, nil
}

// fixedText returns what a template yields if it looks at nothing.
func fixedText(tmpl *template.Template) (text string, ok bool) {
	for _, n := range tmpl.Root.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			text += string(n.Text)
		case *parse.CommentNode:
		default:
			return "", false
		}
	}
	return groupName(text), true
}

// countSteps puts an empty text at the head of a list that may run again and
// again. Writing it is a step, and the writer stops after maxSteps.
func countSteps(list *parse.ListNode) {
	step := &parse.TextNode{NodeType: parse.NodeText}
	list.Nodes = append([]parse.Node{step}, list.Nodes...)
}

// group returns the group of a process. A template that breaks off has named
// it nonetheless, by what was written until then.
func (t *nameTemplate) group(s *subject) Match {
	name, err := t.execute(s)
	return Match{Group: groupName(name), OK: true, TemplateFailed: err != nil}
}

// shown returns what was captured without secrets.
func (s *subject) shown() map[string]string {
	if s.matches == nil {
		return nil
	}
	shown := make(map[string]string, len(s.matches))
	for name, value := range s.matches {
		shown[name] = redact.Secrets(value)
	}
	return shown
}

// words returns s as templates see it.
func (s *subject) words() *templateWords {
	return &templateWords{s: s, basicWords: basicWords{
		Comm:      s.id.Comm,
		ExeBase:   redact.Secrets(s.exeBase()),
		ExeFull:   redact.Secrets(s.exeFull()),
		Username:  s.id.Username,
		PID:       s.id.PID,
		StartTime: s.id.StartTime,
		Matches:   s.shown(),
		Cgroups:   s.id.Cgroups,
	}}
}

// execute returns what the template wrote, also beside an error.
func (t *nameTemplate) execute(s *subject) (string, error) {
	if t.plain && len(t.pieces) == 1 { // nothing to put together
		if text := t.pieces[0](s); len(text) <= maxNameBytes {
			return text, nil
		}
	}
	var out boundedWriter
	if t.plain {
		err := join(&out, t.pieces, s)
		return out.text.String(), err
	}
	err := t.tmpl.Execute(&out, s.words())
	return out.text.String(), err
}

// errTooLong breaks off a template that does not come to an end.
var errTooLong = errors.New("name too long")

// A boundedWriter keeps the first maxNameBytes, cut between two characters, and a
// hash of the rest of what was written last: different words stay different names.
type boundedWriter struct {
	text  strings.Builder
	steps int
	full  bool
}

// WriteString does what Write does, without a copy of the text.
func (w *boundedWriter) WriteString(text string) (int, error) {
	if w.full || len(text) > maxNameBytes-w.text.Len() {
		return w.Write([]byte(text))
	}
	return w.text.WriteString(text)
}

func (w *boundedWriter) Write(p []byte) (int, error) {
	if w.steps++; w.steps > maxSteps || w.full {
		return 0, errTooLong
	}
	room := maxNameBytes - w.text.Len()
	if len(p) <= room {
		return w.text.Write(p)
	}
	for room > 0 && !utf8.RuneStart(p[room]) {
		room--
	}
	w.text.Write(p[:room])
	rest := sha256.Sum256(p[room:])
	w.text.Write(rest[:])
	w.full = true
	return room, errTooLong
}

// wordsOf returns the words that a node of a template looks at. A dot or a
// dollar without a field may hand on all of them. A field of that name may be
// of something else, in which case a word is read for nothing.
func wordsOf(n parse.Node) platform.IdentityFields {
	const all = platform.IdentityArgs | platform.IdentityUser | platform.IdentityCgroups | platform.IdentityExe | platform.IdentityAncestors
	switch n := n.(type) {
	case *parse.DotNode:
		return all
	case *parse.FieldNode:
		return wordsOfFields(n.Ident)
	case *parse.ChainNode:
		return wordsOfFields(n.Field)
	case *parse.VariableNode:
		if len(n.Ident) == 1 && n.Ident[0] == "$" {
			return all
		}
		return wordsOfFields(n.Ident[1:])
	}
	return 0
}

func wordsOfFields(names []string) (words platform.IdentityFields) {
	for _, name := range names {
		switch name {
		case "ExeBase", "ExeFull", "Matches", "App":
			words |= platform.IdentityArgs
		case "Username":
			words |= platform.IdentityUser
		case "Cgroups", "Unit", "Slice", "ContainerID", "ContainerRuntime", "PodUID":
			words |= platform.IdentityCgroups
		case "Exe":
			words |= platform.IdentityExe
		case "Parent":
			words |= platform.IdentityAncestors
		}
	}
	return words
}

// walk calls visit for every node below n that can look at a word or loop.
func walk(n parse.Node, visit func(parse.Node)) {
	visit(n)
	switch n := n.(type) {
	case *parse.ListNode:
		for _, child := range n.Nodes {
			walk(child, visit)
		}
	case *parse.ActionNode:
		walk(n.Pipe, visit)
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			walk(command, visit)
		}
	case *parse.CommandNode:
		for _, arg := range n.Args {
			walk(arg, visit)
		}
	case *parse.ChainNode:
		walk(n.Node, visit)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			walk(n.Pipe, visit)
		}
	case *parse.IfNode:
		walkBranch(&n.BranchNode, visit)
	case *parse.RangeNode:
		walkBranch(&n.BranchNode, visit)
	case *parse.WithNode:
		walkBranch(&n.BranchNode, visit)
	}
}

func walkBranch(n *parse.BranchNode, visit func(parse.Node)) {
	walk(n.Pipe, visit)
	walk(n.List, visit)
	if n.ElseList != nil {
		walk(n.ElseList, visit)
	}
}

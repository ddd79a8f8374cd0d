package grouping

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"github.com/seed57308aee/process_exporter/grouping/redact"
	"github.com/seed57308aee/process_exporter/platform"
)

// defaultTemplate is the name template of a rule without a name.
const defaultTemplate = "{{.ExeBase}}"

const (
	// maxNameBytes limits the output of a template. Group names are shorter, but
	// include a hash of the whole output.
	maxNameBytes = 64 << 10

	// maxSteps limits the loops of a template, which can range over any number.
	maxSteps = 10_000
)

// A nameTemplate produces the name of a group, or the value of a label, from the
// identity of a process.
type nameTemplate struct {
	tmpl     *template.Template
	needs    platform.IdentityFields
	reads    platform.IdentityFields // those of needs on whose text the result depends
	captures captureMode
	text     string // the result, if static
	static   bool   // the template has no actions
	parts    []namePart
	simple   bool // the template consists of parts
	liveOnly bool // the template reads a field that is empty for a zombie
}

// templateData is the dot of a template. Values that are expensive to compute are
// methods, which a template calls like fields.
type templateData struct {
	templateFields
	c *candidate
}

// templateFields are the fields that {{.}} prints.
type templateFields struct {
	Comm      string
	ExeBase   string
	ExeFull   string
	Username  string
	PID       int
	StartTime time.Time
	Matches   map[string]string
	Cgroups   []string
}

// String returns the output of {{.}}.
func (d *templateData) String() string { return fmt.Sprint(d.templateFields) }

// Program returns the process name, or the name of the program if a runtime has replaced it.
func (d *templateData) Program() string { return redact.Secrets(d.c.program()) }

// Exe returns the path of the executable file.
func (d *templateData) Exe() string { return d.c.id.Exe }

// Unit returns the systemd unit of the process.
func (d *templateData) Unit() string { return d.c.cgroup().Unit }

// InnerUnit returns the systemd unit inside the container, or below the manager of a user's units.
func (d *templateData) InnerUnit() string { return d.c.innerCgroup().Unit }

// InnerContainerID returns the ID of a container inside the container, or below the manager of a
// user's units.
func (d *templateData) InnerContainerID() string { return d.c.innerCgroup().ContainerID }

// Slice returns the systemd slice of the process.
func (d *templateData) Slice() string { return d.c.cgroup().Slice }

// ContainerID returns the ID of the container of the process.
func (d *templateData) ContainerID() string { return d.c.cgroup().ContainerID }

// ContainerRuntime returns the runtime of the container, such as docker.
func (d *templateData) ContainerRuntime() string { return d.c.cgroup().Runtime }

// PodUID returns the UID of the Kubernetes pod of the process.
func (d *templateData) PodUID() string { return d.c.cgroup().PodUID }

// Pod returns the name of the Kubernetes pod of the process.
func (d *templateData) Pod() string { return d.c.id.Container.Pod }

// PodNamespace returns the namespace of the Kubernetes pod of the process.
func (d *templateData) PodNamespace() string { return d.c.id.Container.PodNamespace }

// ContainerName returns the name of the container of the process.
func (d *templateData) ContainerName() string { return d.c.id.Container.Container }

// ComposeService returns the Compose service of the container of the process.
func (d *templateData) ComposeService() string { return d.c.id.Container.ComposeService }

// ComposeProject returns the Compose project of the container of the process.
func (d *templateData) ComposeProject() string { return d.c.id.Container.ComposeProject }

// Parent returns the name of the parent process.
func (d *templateData) Parent() string { return d.c.parent() }

// App returns the application that an interpreter runs, such as the module of python.
func (d *templateData) App() string { return redact.Secrets(d.c.app()) }

// templateData returns c as templates see it.
func (c *candidate) templateData() *templateData {
	return &templateData{c: c, templateFields: templateFields{
		Comm:      c.id.Comm,
		ExeBase:   redact.Secrets(c.exeBase()),
		ExeFull:   redact.Secrets(c.exeFull()),
		Username:  c.id.Username,
		PID:       c.id.PID,
		StartTime: c.id.StartTime,
		Matches:   c.redactedMatches(),
		Cgroups:   c.id.Cgroups,
	}}
}

// parseTemplate parses a template and determines which identity fields it reads.
func parseTemplate(text string) (*nameTemplate, error) {
	if !strings.Contains(text, "{{") { // costs a tenth of the memory of a template
		part := func(*candidate) string { return text }
		return &nameTemplate{text: groupName(text), static: true, parts: []namePart{part}, simple: true}, nil
	}
	tmpl, err := template.New("name").Funcs(boundedFuncs()).Funcs(templateFuncs()).Parse(text)
	if err != nil {
		return nil, err
	}
	t := &nameTemplate{tmpl: tmpl}
	t.text, t.static = staticText(tmpl)
	t.parts, t.simple = simpleParts(tmpl.Root)
	for _, part := range tmpl.Templates() {
		if part.Tree == nil {
			continue
		}
		if err := checkFuncs(part.Root); err != nil {
			return nil, err
		}
		visitNodes(part.Root, func(n parse.Node) {
			t.needs |= fieldsOfNode(n)
			t.captures = max(t.captures, capturesOfNode(n))
			t.liveOnly = t.liveOnly || isLiveOnly(n)
			if r, ok := n.(*parse.RangeNode); ok {
				countSteps(r.List)
			}
		})
		countSteps(part.Root)
	}
	if t.reads = t.needs &^ programArgs; t.needs != t.reads {
		t.needs = t.reads | platform.IdentityArgs
	}
	return t, nil
}

// staticText returns the output of a template without actions. It reports false for
// other templates.
func staticText(tmpl *template.Template) (text string, ok bool) {
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

// countSteps inserts an empty text at the beginning of a list that can run several
// times. Writing it counts as a step, and the writer fails after maxSteps.
func countSteps(list *parse.ListNode) {
	step := &parse.TextNode{NodeType: parse.NodeText}
	list.Nodes = append([]parse.Node{step}, list.Nodes...)
}

// render returns the match of a process. If the template fails, the group is named by the
// output before the error.
func (t *nameTemplate) render(c *candidate) Match {
	name, err := t.execute(c)
	return Match{Group: groupName(name), OK: true, TemplateFailed: err != nil}
}

// execute returns the output of the template. It returns the output before the error
// if the template fails.
func (t *nameTemplate) execute(c *candidate) (string, error) {
	if t.simple && len(t.parts) == 1 { // no concatenation needed
		if text := t.parts[0](c); len(text) <= maxNameBytes {
			return text, nil
		}
	}
	var out boundedWriter
	if t.simple {
		err := writeParts(&out, t.parts, c)
		return out.text.String(), err
	}
	err := t.tmpl.Execute(&out, c.templateData())
	return out.text.String(), err
}

// errTooLong stops a template whose output or number of steps exceeds its limit.
var errTooLong = errors.New("name too long")

// A boundedWriter writes at most maxNameBytes. It cuts the write that would exceed them
// between two characters, and appends a hash of the rest of that write. Different values
// therefore yield different names.
type boundedWriter struct {
	text  strings.Builder
	steps int
	full  bool
}

// WriteString is Write without a copy of the text.
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

// programArgs stands for the arguments that .Program reads. The program of a process cannot
// change without execve(2), so the result does not depend on their other text.
const programArgs platform.IdentityFields = 1 << 7

// fieldsOfNode returns the identity fields that a node of a template reads. A dot or a
// dollar without a field may pass on all of them. A field of the same name may belong
// to another value; one identity field is then read without need.
func fieldsOfNode(n parse.Node) platform.IdentityFields {
	const all = platform.IdentityArgs | platform.IdentityUser | platform.IdentityCgroups | platform.IdentityExe |
		platform.IdentityAncestors | platform.IdentityContainer
	switch n := n.(type) {
	case *parse.DotNode:
		return all
	case *parse.FieldNode:
		return fieldsOfNames(n.Ident)
	case *parse.ChainNode:
		return fieldsOfNames(n.Field)
	case *parse.VariableNode:
		if len(n.Ident) == 1 && n.Ident[0] == "$" {
			return all
		}
		return fieldsOfNames(n.Ident[1:])
	}
	return 0
}

// isLiveOnly reports whether a node of a template reads a field that is empty for a zombie.
// .ExeBase and .ExeFull are the process name then.
func isLiveOnly(n parse.Node) bool {
	f, ok := n.(*parse.FieldNode)
	return ok && slices.Contains([]string{"App", "Exe", "Matches"}, f.Ident[0])
}

// capturesOfNode returns which captures a node of a template reads. A dot or a dollar
// without a field, and .Matches without a name, may read all of them.
func capturesOfNode(n parse.Node) captureMode {
	var names []string
	switch n := n.(type) {
	case *parse.DotNode:
		return capturesAll
	case *parse.FieldNode:
		names = n.Ident
	case *parse.ChainNode:
		names = n.Field
	case *parse.VariableNode:
		if names = n.Ident[1:]; len(names) == 0 && n.Ident[0] == "$" {
			return capturesAll
		}
	}
	switch slices.Index(names, "Matches") {
	case -1:
		return capturesNone
	case len(names) - 1:
		return capturesAll
	}
	return capturesNamed
}

func fieldsOfNames(names []string) (fields platform.IdentityFields) {
	for _, name := range names {
		switch name {
		case "ExeBase", "ExeFull", "Matches", "App":
			fields |= platform.IdentityArgs
		case "Program":
			fields |= programArgs
		case "Username":
			fields |= platform.IdentityUser
		case "Cgroups", "Unit", "Slice", "ContainerID", "ContainerRuntime", "PodUID", "InnerUnit", "InnerContainerID":
			fields |= platform.IdentityCgroups
		case "Pod", "PodNamespace", "ContainerName", "ComposeService", "ComposeProject":
			fields |= platform.IdentityCgroups | platform.IdentityContainer
		case "Exe":
			fields |= platform.IdentityExe
		case "Parent":
			fields |= platform.IdentityAncestors
		}
	}
	return fields
}

// visitNodes calls visit for n and every node below it that can read a field or loop.
func visitNodes(n parse.Node, visit func(parse.Node)) {
	visit(n)
	switch n := n.(type) {
	case *parse.ListNode:
		for _, child := range n.Nodes {
			visitNodes(child, visit)
		}
	case *parse.ActionNode:
		visitNodes(n.Pipe, visit)
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			visitNodes(command, visit)
		}
	case *parse.CommandNode:
		for _, arg := range n.Args {
			visitNodes(arg, visit)
		}
	case *parse.ChainNode:
		visitNodes(n.Node, visit)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			visitNodes(n.Pipe, visit)
		}
	case *parse.IfNode:
		visitBranch(&n.BranchNode, visit)
	case *parse.RangeNode:
		visitBranch(&n.BranchNode, visit)
	case *parse.WithNode:
		visitBranch(&n.BranchNode, visit)
	}
}

func visitBranch(n *parse.BranchNode, visit func(parse.Node)) {
	visitNodes(n.Pipe, visit)
	visitNodes(n.List, visit)
	if n.ElseList != nil {
		visitNodes(n.ElseList, visit)
	}
}

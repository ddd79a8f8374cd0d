package grouping

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/seed57308aee/process_exporter/grouping/redact"
	"github.com/seed57308aee/process_exporter/platform"
)

// An Ungrouped is a live process in no group.
type Ungrouped struct {
	platform.ID
	Comm         string
	KernelThread bool   // a kernel thread
	IgnoredBy    *Rule  // rule that ignores it, nil if no rule matches it
	CPUNanos     uint64 // used since its start

	// DescribeUngrouped sets these fields. They are empty if they cannot be read.
	Username string
	Command  string // the command line, with secrets replaced
	App      string // see the template field .App
	program  string // base name of the first argument
	runtime  bool   // a runtime has replaced Comm by the name of a thread
}

// Ungrouped returns the processes that are in no group, as of the last Update.
func (t *Tracker) Ungrouped() (all []Ungrouped) {
	for i := range t.records {
		if t.records[i].group == nil {
			all = append(all, t.newUngrouped(i))
		}
	}
	return all
}

// newUngrouped returns the process with this index of records.
func (t *Tracker) newUngrouped(i int) Ungrouped {
	r, s := &t.records[i], &t.snap.Samples[i]
	return Ungrouped{ID: s.ID, Comm: s.Comm, KernelThread: s.KernelThread, IgnoredBy: r.rule, CPUNanos: s.UserNanos + s.SystemNanos}
}

// DescribeUngrouped reads the user and the command line of processes that Ungrouped has
// returned after the same Update.
func (t *Tracker) DescribeUngrouped(ctx context.Context, all []Ungrouped) {
	for i := range all {
		u := &all[i]
		at := t.snap.Index(u.PID)
		if u.KernelThread || at < 0 {
			continue
		}
		id, err := t.src.Identify(ctx, &t.snap.Samples[at], platform.IdentityArgs|platform.IdentityUser)
		if err != nil {
			continue
		}
		c := candidate{id: &id}
		u.Username, u.Command, u.App = id.Username, redact.Secrets(c.commandLine()), redact.Secrets(c.app())
		if len(id.Args) > 0 {
			u.program, u.runtime = path.Base(id.Args[0]), c.program() != id.Comm
		}
	}
}

// maxSuggested is the number of programs in suggested rules.
const maxSuggested = 30

// SuggestRules returns rules that match processes in no group, as YAML to append to
// process_names, or "" if there are none. all are in order of importance: the rules contain
// the first programs only.
func SuggestRules(all []Ungrouped) string {
	var comms, programs, interpreters []string
	add := func(list *[]string, name string) {
		if printable.MatchString(name) && !slices.Contains(*list, name) && len(comms)+len(programs)+len(interpreters) < maxSuggested {
			*list = append(*list, name)
		}
	}
	for i := range all {
		switch u := &all[i]; {
		case u.KernelThread || u.IgnoredBy != nil:
		case u.App != "" && u.program != "":
			add(&interpreters, u.program)
		case u.runtime:
			add(&programs, u.program)
		default:
			add(&comms, u.Comm)
		}
	}
	return suggestedRule("{{.App | default .Program}}", "exe", interpreters) +
		suggestedRule("{{.Program}}", "exe", programs) + suggestedRule("{{.Comm}}", "comm", comms)
}

// printable matches names that a rule can contain.
var printable = regexp.MustCompile(`^[ -~]+$`)

func suggestedRule(name, selector string, items []string) string {
	if len(items) == 0 {
		return ""
	}
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = quote(item)
	}
	return "  - name: \"" + name + "\"\n    " + selector + ": [" + strings.Join(quoted, ", ") + "]\n"
}

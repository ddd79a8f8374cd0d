package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/cli/inspect"
	"github.com/seed57308aee/process_exporter/platform"
)

// maxShown is how many bytes of a text a line of an explanation shows.
const maxShown = 300

// explainCommand is "process_exporter explain".
func explainCommand() command {
	var asJSON bool
	return command{
		name: "explain",
		args: "PID|NAME...",
		help: "Tell why processes are in the group that they are in: what every rule wants, and what it sees.",
		flags: func(app *kingpin.Application) {
			app.Flag("json", "Print JSON.").BoolVar(&asJSON)
		},
		run: func(ctx context.Context, s *settings, args []string, w io.Writer) error {
			if len(args) == 0 {
				return errors.New("name the processes: explain PID|NAME..., such as explain nginx")
			}
			v, err := newView(ctx, s)
			if err != nil {
				return err
			}
			defer func() { _ = v.close() }()
			all, err := v.explain(ctx, args)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(w)
				enc.SetIndent("", "  ")
				return enc.Encode(all)
			}
			for i, e := range all {
				if i > 0 {
					fmt.Fprintln(w)
				}
				if err := v.print(w, e, s); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// explain looks the processes up. A name may stand for many; those of them that
// are gone by now are left out.
func (v *view) explain(ctx context.Context, targets []string) (all []*grouping.Explanation, err error) {
	for _, target := range targets {
		pids, byName := []int(nil), false
		if pid, err := strconv.Atoi(target); err == nil {
			pids = []int{pid}
		} else {
			pids, byName = v.tracker.Find(ctx, target), true
		}
		found := false
		for _, pid := range pids {
			e, err := v.tracker.Explain(ctx, pid)
			switch {
			case err == nil:
				all, found = append(all, e), true
			case !errors.Is(err, platform.ErrGone) || !byName && len(pids) == 1 && !errors.Is(err, platform.ErrGone):
				return nil, err
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no process %s; ps -eo pid,comm,args lists them", target)
		}
	}
	return all, nil
}

// print writes an explanation for people.
func (v *view) print(w io.Writer, e *grouping.Explanation, s *settings) error {
	var b strings.Builder
	fmt.Fprintf(&b, "process %d (%s), started %s\n", e.PID, shown(e.Comm), e.StartTime.Local().Format(time.DateTime))
	fact := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-13s %s\n", name, shown(value))
		}
	}
	fact("command line", strings.Join(e.Args, " "))
	fact("program", e.Exe)
	if e.Username != "" {
		fact("user", fmt.Sprintf("%s (%d)", e.Username, e.EUID))
	}
	fact("unit", strings.TrimSpace(e.Unit+" "+inParentheses(e.Slice)))
	fact("container", strings.TrimSpace(e.ContainerID+" "+inParentheses(e.ContainerRuntime)))
	fact("pod", e.PodUID)
	fact("control group", strings.Join(slices.Compact(slices.Clone(e.Cgroups)), " "))
	fact("app", e.App)
	fact("ancestors", lineText(e.Lineage))
	if len(e.Args) == 0 {
		fact("note", "it has no command line: a thread of the kernel, a zombie, or one that hides it")
	}
	for i := range e.Trials {
		v.printTrial(&b, &e.Trials[i])
	}
	fmt.Fprintf(&b, "=> %s\n", v.verdict(e, s))
	_, err := io.WriteString(w, b.String())
	return err
}

func inParentheses(text string) string {
	if text == "" {
		return ""
	}
	return "(" + text + ")"
}

func lineText(line []grouping.Ancestor) string {
	var names []string
	for _, a := range line {
		name := fmt.Sprintf("%s (%d)", a.Comm, a.PID)
		switch {
		case a.Grouped:
			name += fmt.Sprintf(" in %q", a.Group)
		case a.Ignored:
			name += " ignored"
		}
		names = append(names, name)
	}
	return strings.Join(names, " < ")
}

// printTrial writes what a rule wants of a process and what it sees.
func (v *view) printTrial(b *strings.Builder, t *grouping.Trial) {
	at := v.rules.origin
	if t.Rule.Line > 0 {
		at += ":" + strconv.Itoa(t.Rule.Line)
	}
	outcome := "does not want it"
	switch {
	case t.Matched && t.Rule.Ignore:
		outcome = "wants it out of all groups"
	case t.Matched:
		outcome = fmt.Sprintf("wants it in group %q", t.Group)
	}
	fmt.Fprintf(b, "rule %d, %s, name %q: %s\n", t.Rule.Position, at, shown(t.Rule.Template), outcome)
	for _, s := range t.Selectors {
		sign := "FAIL"
		if s.Matched {
			sign = "pass"
		}
		fmt.Fprintf(b, "  %s %-9s wants %s; sees %s\n", sign, s.Key, quoted(s.Entries), quoted(s.Values))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Captures)) {
		fmt.Fprintf(b, "       captured %s = %q\n", name, shown(t.Captures[name]))
	}
}

func quoted(texts []string) string {
	if len(texts) == 0 {
		return "nothing"
	}
	var out []string
	for _, t := range texts {
		out = append(out, strconv.Quote(shown(t)))
	}
	return strings.Join(out, ", ")
}

// shown is text as a line has room for it, without what a terminal obeys.
func shown(text string) string {
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "�") + "…"
	}
	return inspect.Printable(text)
}

// verdict says in one sentence where the process is, and why.
func (v *view) verdict(e *grouping.Explanation, s *settings) string {
	switch {
	case e.OverLimit:
		return fmt.Sprintf("in the group %q: there is no room for one more group; raise --max-groups or max_groups of rule %d", e.Group, e.Rule.Position)
	case e.InheritedFrom != nil:
		return fmt.Sprintf("in the group %q of its ancestor %s (%d), since no rule wants it; children: false in rule %d, or --children=false, keeps it out",
			e.Group, shown(e.InheritedFrom.Comm), e.InheritedFrom.PID, e.Rule.Position)
	case e.Grouped:
		return fmt.Sprintf("in the group %q%s by rule %d, the first that wants it", e.Group, v.labelText(e.Labels), e.Rule.Position)
	case e.Rule != nil:
		return fmt.Sprintf("in no group: rule %d ignores it", e.Rule.Position)
	}
	text := "in no group: no rule wants it"
	at := slices.IndexFunc(e.Lineage, func(a grouping.Ancestor) bool { return a.Grouped || a.Ignored })
	switch {
	case at >= 0 && e.Lineage[at].Ignored:
		text += fmt.Sprintf(", and a rule ignores its ancestor %s (%d)", shown(e.Lineage[at].Comm), e.Lineage[at].PID)
	case at >= 0 && !e.Lineage[at].AcceptsChildren:
		text += fmt.Sprintf(", and the group of its ancestor %s (%d) takes no children", shown(e.Lineage[at].Comm), e.Lineage[at].PID)
	case at < 0 && (s.children):
		text += ", nor any of its ancestors"
	}
	return text
}

func (v *view) labelText(values []string) string {
	var labels []string
	for i, name := range v.tracker.LabelNames() {
		labels = append(labels, fmt.Sprintf("%s=%q", name, values[i]))
	}
	if labels == nil {
		return ""
	}
	return " {" + strings.Join(labels, ",") + "}"
}

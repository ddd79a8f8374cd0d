package cli

import (
	"context"
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
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/printable"
	"github.com/seed57308aee/process_exporter/platform"
)

// maxText is the length in bytes from which on a text is shortened.
const maxText = 300

// explainCommand is "process_exporter explain".
func explainCommand() command {
	var asJSON bool
	flags := func(app *kingpin.Application, _ *config.Settings) {
		app.Flag("json", "Print JSON.").BoolVar(&asJSON)
	}
	return command{
		CommandLine: config.CommandLine{
			Command:  "explain",
			Args:     "PID|NAME...",
			Help:     "Show which rule assigns each process to its group, and why.",
			Sections: append([]config.FlagSection{{Title: "Explain", Add: flags}}, config.GroupingFlags()...),
		},
		notes: "NAME is a process name, a first argument (argv[0]) or its base name.\n" + readsProcNote,
		run: func(ctx context.Context, s *config.Settings, args []string, out output) error {
			if len(args) == 0 {
				return errors.New("missing process: use explain PID|NAME..., such as explain nginx")
			}
			g, err := updateOnce(ctx, s, readSockets)
			if err != nil {
				return err
			}
			defer func() { _ = g.close() }()
			g.printNotes(out.stderr, s, 0)
			networks, err := g.measureNetworks(ctx)
			if err != nil {
				return err
			}
			explanations, err := g.explain(ctx, args)
			if err != nil {
				return err
			}
			all := withNetworks(explanations, networks)
			if asJSON {
				return printJSON(out.stdout, toJSON(all, g.tracker.LabelNames()))
			}
			_, err = io.WriteString(out.stdout, g.format(all, s))
			return err
		},
	}
}

// explain returns the explanations of the targets, which are PIDs or names. It
// omits processes of a name that exit during the call.
func (g *localGroups) explain(ctx context.Context, targets []string) (all []*grouping.Explanation, err error) {
	for _, target := range targets {
		var pids []int
		if pid, err := strconv.Atoi(target); err == nil {
			pids = []int{pid}
		} else {
			pids = g.tracker.Find(ctx, target)
		}
		found := false
		for _, pid := range pids {
			e, err := g.tracker.Explain(ctx, pid)
			switch {
			case err == nil:
				all, found = append(all, e), true
			case !errors.Is(err, platform.ErrGone):
				return nil, err
			}
		}
		if !found {
			return nil, fmt.Errorf("no process %s; ps -eo pid,comm,args lists all", target)
		}
	}
	return all, nil
}

// format returns the explanations as text, separated by empty lines.
func (g *localGroups) format(all []explanation, s *config.Settings) string {
	var b strings.Builder
	for i, e := range all {
		if i > 0 {
			b.WriteByte('\n')
		}
		g.formatOne(&b, e.Explanation, s)
		formatNetwork(&b, e.Network)
	}
	return b.String()
}

func (g *localGroups) formatOne(b *strings.Builder, e *grouping.Explanation, s *config.Settings) {
	fmt.Fprintf(b, "process %d (%s), started %s\n", e.PID, shortPrintable(e.Comm), e.StartTime.Local().Format(time.DateTime))
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "  %-13s %s\n", name, shortPrintable(value))
		}
	}
	field("command line", strings.Join(e.Args, " "))
	field("executable", e.Exe)
	if e.Username != "" {
		field("user", fmt.Sprintf("%s (%d)", e.Username, e.EUID))
	}
	field("unit", strings.TrimSpace(e.Unit+" "+inParentheses(e.Slice)))
	field("container", strings.TrimSpace(e.ContainerID+" "+inParentheses(e.ContainerRuntime)))
	field("pod", e.PodUID)
	field("pod name", strings.Trim(e.Container.PodNamespace+"/"+e.Container.Pod, "/"))
	field("container name", e.Container.Container)
	field("compose", strings.Trim(e.Container.ComposeProject+"/"+e.Container.ComposeService, "/"))
	field("cgroup", strings.Join(slices.Compact(slices.Clone(e.Cgroups)), " "))
	field("app", e.App)
	field("ancestors", formatAncestors(e.Lineage))
	if len(e.Args) == 0 {
		field("note", "no command line: a kernel thread, a zombie, or a process with an empty command line")
	}
	for i := range e.RuleResults {
		g.formatRule(b, &e.RuleResults[i])
	}
	fmt.Fprintf(b, "=> %s\n", g.result(e, s))
}

func inParentheses(text string) string {
	if text == "" {
		return ""
	}
	return "(" + text + ")"
}

func formatAncestors(ancestors []grouping.Ancestor) string {
	var names []string
	for _, a := range ancestors {
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

// formatRule writes whether a rule matches, and each selector with its value.
func (g *localGroups) formatRule(b *strings.Builder, r *grouping.RuleResult) {
	position := g.rules.Origin
	if r.Rule.Line > 0 {
		position += ":" + strconv.Itoa(r.Rule.Line)
	}
	outcome := "no match"
	switch {
	case r.Matched && r.Rule.Ignore:
		outcome = "match, process ignored"
	case r.Matched:
		outcome = fmt.Sprintf("match, group %q", r.Group)
	}
	fmt.Fprintf(b, "rule %d, %s, name %q: %s\n", r.Rule.Position, position, shortPrintable(r.Rule.Template), outcome)
	for _, s := range r.Selectors {
		result := "FAIL"
		if s.Matched {
			result = "pass"
		}
		fmt.Fprintf(b, "  %s %-9s expects %s; found %s\n", result, s.Key, quoted(s.Entries), quoted(s.Values))
		if s.Hint != "" {
			fmt.Fprintf(b, "       hint: %s\n", shortPrintable(s.Hint))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Captures)) {
		fmt.Fprintf(b, "       captured %s = %q\n", name, shortPrintable(r.Captures[name]))
	}
}

func quoted(texts []string) string {
	if len(texts) == 0 {
		return "nothing"
	}
	var out []string
	for _, t := range texts {
		out = append(out, strconv.Quote(shortPrintable(t)))
	}
	return strings.Join(out, ", ")
}

// shortPrintable escapes non-printable characters, and shortens text to maxText bytes.
func shortPrintable(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "�") + "…"
	}
	return printable.Text(text)
}

// result returns the group of the process and the reason, as one sentence.
func (g *localGroups) result(e *grouping.Explanation, s *config.Settings) string {
	switch {
	case e.OverLimit:
		return fmt.Sprintf("in group %q: group limit reached; increase --max-groups or max_groups of rule %d", e.Group, e.Rule.Position)
	case e.InheritedFrom != nil:
		return fmt.Sprintf("in group %q of its ancestor %s (%d): no rule matches it. "+
			"To exclude it, set children: false in rule %d or use --children=false",
			e.Group, shortPrintable(e.InheritedFrom.Comm), e.InheritedFrom.PID, e.Rule.Position)
	case e.Grouped:
		return fmt.Sprintf("in group %q%s (rule %d, the first match)", e.Group, g.formatLabels(e.Labels), e.Rule.Position)
	case e.Rule != nil:
		return fmt.Sprintf("in no group: ignored by rule %d", e.Rule.Position)
	}
	text := "in no group: no rule matches it"
	i := slices.IndexFunc(e.Lineage, func(a grouping.Ancestor) bool { return a.Grouped || a.Ignored })
	switch {
	case i >= 0 && e.Lineage[i].Ignored:
		text += fmt.Sprintf(", and a rule ignores its ancestor %s (%d)", shortPrintable(e.Lineage[i].Comm), e.Lineage[i].PID)
	case i >= 0 && !e.Lineage[i].AcceptsChildren:
		text += fmt.Sprintf(", and the group of its ancestor %s (%d) excludes children", shortPrintable(e.Lineage[i].Comm), e.Lineage[i].PID)
	case i < 0 && s.Children:
		text += ", and no ancestor has a group"
	}
	return text
}

func (g *localGroups) formatLabels(values []string) string {
	var labels []string
	for i, name := range g.tracker.LabelNames() {
		labels = append(labels, fmt.Sprintf("%s=%q", name, values[i]))
	}
	if labels == nil {
		return ""
	}
	return " {" + strings.Join(labels, ",") + "}"
}

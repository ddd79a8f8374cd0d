package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"text/tabwriter"

	"github.com/alecthomas/kingpin/v2"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/cli/inspect"
)

// checkCommand is "process_exporter check".
func checkCommand() command {
	var here, schema bool
	return command{
		name: "check",
		args: "[FILE]",
		help: "Check a configuration file, and what it does with the processes of this machine. Exits 1 if there is anything to correct.",
		flags: func(app *kingpin.Application) {
			app.Flag("here", "Try the rules on the processes of this machine.").Default("true").BoolVar(&here)
			app.Flag("schema", "Print the JSON schema of the file, for editors, and exit.").BoolVar(&schema)
		},
		run: func(ctx context.Context, s *settings, args []string, w io.Writer) error {
			if schema {
				_, err := io.WriteString(w, grouping.Schema())
				return err
			}
			switch {
			case len(args) > 1:
				return fmt.Errorf("unexpected argument %q: one file can be checked at a time", args[1])
			case len(args) == 1:
				s.configPath = args[0]
				if err := s.exclusive(); err != nil {
					return err
				}
			}
			return checkRules(ctx, s, here, w)
		},
	}
}

// checkRules prints what is wrong with the rules, then what they do here.
func checkRules(ctx context.Context, s *settings, here bool, w io.Writer) error {
	r, err := loadRules(s)
	if err != nil {
		return printFault(w, "error", err)
	}
	for _, warning := range r.warnings {
		if _, err := fmt.Fprintln(w, finding(warning.Path, warning.Line, warning.Column, "warning", warning.Text)); err != nil {
			return err
		}
	}
	if here {
		if err := tryHere(ctx, s, w); err != nil {
			return err
		}
	}
	if len(r.warnings) > 0 {
		return errFindings
	}
	_, err = fmt.Fprintln(w, "The configuration is good.")
	return err
}

// printFault prints what keeps a configuration from being used.
func printFault(w io.Writer, severity string, err error) error {
	line := severity + ": " + oneLine(err)
	var ce *grouping.ConfigError
	if errors.As(err, &ce) {
		line = finding(ce.Path, ce.Line, ce.Column, severity, ce.Text)
	}
	if _, err := fmt.Fprintln(w, line); err != nil {
		return err
	}
	return errFindings
}

// finding is a line that editors and build servers can jump from.
func finding(path string, line, column int, severity, text string) string {
	at := path
	for _, n := range []int{line, column} {
		if n > 0 {
			at += fmt.Sprintf(":%d", n)
		}
	}
	return at + ": " + severity + ": " + text
}

// A ruleUse is what a rule does on this machine.
type ruleUse struct {
	*grouping.Rule
	procs, groups, series int
}

// tryHere prints what every rule does on this machine.
func tryHere(ctx context.Context, s *settings, w io.Writer) error {
	v, err := newView(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = v.close() }()
	families, err := collector.New(collector.Options{Tracker: v.tracker, Logger: slog.New(slog.DiscardHandler)}).For(ctx).Gather()
	if err != nil {
		return err
	}
	series := collector.SeriesByGroup(families)
	groups, err := v.tracker.Update(ctx)
	if err != nil {
		return err
	}
	uses, rest := usesOf(v.tracker.Coverage().Rules, groups, series)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "RULE\tLINE\tPROCESSES\tGROUPS\tSERIES\tNAME\t")
	total := rest
	for _, u := range uses {
		note := ""
		if u.procs == 0 {
			note = "wants nothing that runs here now"
		}
		fmt.Fprintf(out, "%d\t%d\t%d\t%d\t%d\t%s\t%s\n", u.Position, u.Line, u.procs, u.groups, u.series, inspect.Printable(u.Template), note)
		total += u.series
	}
	fmt.Fprintf(out, "all\t\t\t%d\t%d\t\t%d processes in no group\n", len(groups), total, v.tracker.Coverage().UnmatchedProcs)
	return out.Flush()
}

// usesOf counts for every rule. rest are the series of groups that no rule made.
func usesOf(rules []grouping.RuleMatches, groups []grouping.Group, series map[string]int) (uses []ruleUse, rest int) {
	for _, r := range rules {
		uses = append(uses, ruleUse{Rule: r.Rule, procs: r.Procs})
	}
	for _, g := range groups {
		n := series[g.Key()]
		at := slices.IndexFunc(uses, func(u ruleUse) bool { return u.Rule == g.Rule })
		if at < 0 {
			rest += n
			continue
		}
		uses[at].groups++
		uses[at].series += n
	}
	return uses, rest
}

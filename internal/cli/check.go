package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/user"
	"slices"
	"text/tabwriter"

	"github.com/alecthomas/kingpin/v2"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/logging"
	"github.com/seed57308aee/process_exporter/internal/printable"
)

// checkCommand is "process_exporter check".
func checkCommand() command {
	var here, schema bool
	flags := func(app *kingpin.Application, _ *config.Settings) {
		app.Flag("here", "Also apply the rules to the running processes.").Default("true").BoolVar(&here)
		app.Flag("schema", "Print the JSON schema of rule files, for editors.").BoolVar(&schema)
	}
	return command{
		CommandLine: config.CommandLine{
			Command:  "check",
			Args:     "[FILE]",
			Help:     "Check a rule file and try it on this machine. Exits 1 after a warning or error.",
			Sections: append([]config.FlagSection{{Title: "Check", Add: flags}}, config.GroupingFlags()...),
		},
		notes: readsProcNote,
		run: func(ctx context.Context, s *config.Settings, args []string, out output) error {
			if schema {
				_, err := io.WriteString(out.stdout, grouping.Schema())
				return err
			}
			switch {
			case len(args) > 1:
				return fmt.Errorf("unexpected argument %q: check takes one file", args[1])
			case len(args) == 1:
				s.ConfigPath = args[0]
				if err := s.ValidateGroupingFlags(); err != nil {
					return err
				}
			}
			printMatches := func() error { return nil }
			if here {
				printMatches = func() error { return printRuleMatches(ctx, s, out.stdout) }
			}
			return checkRules(s, out.stdout, printMatches)
		},
	}
}

// checkRules prints the errors, warnings and hints of the rules, then calls printMatches.
func checkRules(s *config.Settings, w io.Writer, printMatches func() error) error {
	rules, err := s.LoadRules()
	if err != nil {
		return printError(w, err)
	}
	if err := printFindings(w, "warning", rules.Warnings); err != nil {
		return err
	}
	if err := printFindings(w, "hint", s.Hints(rules)); err != nil {
		return err
	}
	if err := printMatches(); err != nil {
		return err
	}
	if len(rules.Warnings) > 0 {
		return errFindings
	}
	_, err = fmt.Fprintln(w, validText)
	return err
}

// printFindings prints warnings or hints about the rules, one per line.
func printFindings(w io.Writer, severity string, findings []grouping.Warning) error {
	for _, f := range findings {
		if _, err := fmt.Fprintln(w, formatFinding(f.Path, f.Line, f.Column, severity, f.Text)); err != nil {
			return err
		}
	}
	return nil
}

// printError prints an error of the rules, with its position if it has one.
func printError(w io.Writer, err error) error {
	line := "error: " + logging.OneLine(err)
	var ce *grouping.ConfigError
	if errors.As(err, &ce) {
		line = formatFinding(ce.Path, ce.Line, ce.Column, "error", ce.Text)
	}
	if _, err := fmt.Fprintln(w, line); err != nil {
		return err
	}
	return errFindings
}

// formatFinding returns a line in the format of compilers, which editors parse.
func formatFinding(path string, line, column int, severity, text string) string {
	position := path
	for _, n := range []int{line, column} {
		if n > 0 {
			position += fmt.Sprintf(":%d", n)
		}
	}
	return position + ": " + severity + ": " + text
}

// ruleStats counts what a rule matches on this machine.
type ruleStats struct {
	*grouping.Rule
	procs, groups, series int
}

// printRuleMatches prints what each rule matches on this machine.
func printRuleMatches(ctx context.Context, s *config.Settings, w io.Writer) error {
	g, err := openLocalGroups(s, readSockets)
	if err != nil {
		return err
	}
	defer func() { _ = g.close() }()
	c := collector.New(collector.Options{Tracker: g.tracker, Logger: slog.New(slog.DiscardHandler)})
	var update collector.UpdateResult
	c.Watch(func(v collector.UpdateResult) { update = v })
	families, err := c.Gatherer(ctx).Gather()
	// Gather returns before the end of the update only if ctx ends.
	if err := cmp.Or(ctx.Err(), err); err != nil {
		return err
	}
	if update.Err != nil {
		return update.Err
	}
	if update.Health.Incomplete {
		fmt.Fprintf(w, "note: not all processes were read within %v, so the numbers are too low\n", collector.DefaultTimeout)
	}
	stats, others := countByRule(update.MatchCounts.Rules, update.Groups, collector.SeriesByGroup(families))
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "RULE\tLINE\tPROCESSES\tGROUPS\tSERIES\tNAME\t")
	total := others
	for _, r := range stats {
		note := ""
		if r.procs == 0 {
			note = "matches no process of this machine"
		}
		fmt.Fprintf(out, "%d\t%d\t%d\t%d\t%d\t%s\t%s\n", r.Position, r.Line, r.procs, r.groups, r.series, printable.Text(r.Template), note)
		total += r.series
	}
	fmt.Fprintf(out, "all\t\t\t%d\t%d\t\t%d unmatched processes\n", len(update.Groups), total, update.MatchCounts.UngroupedProcs)
	if err := out.Flush(); err != nil {
		return err
	}
	if err := printCollectors(w, collector.SeriesByCollector(families)); err != nil {
		return err
	}
	if err := printUnknownUsers(w, g.rules.Matcher.Rules()); err != nil {
		return err
	}
	return printSuspicious(w, g.tracker.SuspiciousMatches(ctx))
}

// printUnknownUsers prints the users of rules that do not exist on this machine.
func printUnknownUsers(w io.Writer, rules []*grouping.Rule) error {
	var unknown user.UnknownUserError
	for _, r := range rules {
		for _, name := range r.Users() {
			if _, err := user.Lookup(name); !errors.As(err, &unknown) {
				continue
			}
			_, err := fmt.Fprintf(w, "rule %d has the user %q, which is not in /etc/passwd; for a user of another database write the user ID\n",
				r.Position, shortPrintable(name))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// printCollectors prints the number of series of each collector that has any.
func printCollectors(w io.Writer, series map[string]int) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "\nCOLLECTOR\tSERIES")
	for _, c := range grouping.CollectorTable {
		if n := series[c.Name]; n > 0 {
			fmt.Fprintf(out, "%s\t%d\n", c.Name, n)
		}
	}
	fmt.Fprintln(out)
	return out.Flush()
}

// maxSuspicious is the number of suspicious matches of a rule that are printed.
const maxSuspicious = 5

// printSuspicious prints processes that rules probably do not mean.
func printSuspicious(w io.Writer, matches []grouping.SuspiciousMatch) error {
	printed := make(map[*grouping.Rule]int)
	text := ""
	for _, m := range matches {
		if printed[m.Rule]++; printed[m.Rule] <= maxSuspicious {
			text += fmt.Sprintf("rule %d also matches the arguments of process %d (%s): %s\n",
				m.Rule.Position, m.PID, shortPrintable(m.Comm), shortPrintable(m.Command))
		}
	}
	if text != "" {
		text += "To match programs only, add comm, exe or exe_path to the rule.\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

// countByRule returns the counts of each rule, and the number of series of groups
// without a rule.
func countByRule(rules []grouping.RuleMatches, groups []grouping.Group, series map[string]int) (stats []ruleStats, others int) {
	for _, r := range rules {
		stats = append(stats, ruleStats{Rule: r.Rule, procs: r.Procs})
	}
	for _, g := range groups {
		n := series[g.Key()]
		i := slices.IndexFunc(stats, func(r ruleStats) bool { return r.Rule == g.Rule })
		if i < 0 {
			others += n
			continue
		}
		stats[i].groups++
		stats[i].series += n
	}
	return stats, others
}

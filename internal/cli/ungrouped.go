package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// An ungroupedProcess is a process in no group.
type ungroupedProcess struct {
	PID     int      `json:"pid"`
	Comm    string   `json:"comm"`
	User    string   `json:"user,omitempty"`
	CPU     *float64 `json:"cpu_ratio,omitempty"` // absent if it started during the measurement, or without one
	Command string   `json:"command,omitempty"`   // without secrets
	Ignored int      `json:"ignored_by_rule,omitempty"`
}

// An ungroupedReport lists the processes in no group.
type ungroupedReport struct {
	Processes      []ungroupedProcess `json:"processes"` // in descending order of CPU usage
	KernelThreads  int                `json:"kernel_threads"`
	SuggestedRules string             `json:"suggested_rules"` // YAML, to append to process_names
}

// findUngrouped returns the processes in no group. Their CPU usage is that during the pause.
func (g *localGroups) findUngrouped(ctx context.Context, pause time.Duration) (*ungroupedReport, error) {
	before := make(map[platform.ID]uint64)
	for _, u := range g.tracker.Ungrouped() {
		before[u.ID] = u.CPUNanos
	}
	start := time.Now()
	if pause > 0 {
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		if _, err := g.tracker.Update(ctx); err != nil {
			return nil, err
		}
	}
	elapsed := time.Since(start)
	all := g.tracker.Ungrouped()
	used := func(u *grouping.Ungrouped) uint64 { return u.CPUNanos - min(before[u.ID], u.CPUNanos) }
	slices.SortStableFunc(all, func(a, b grouping.Ungrouped) int {
		return cmp.Or(cmp.Compare(used(&b), used(&a)), cmp.Compare(b.CPUNanos, a.CPUNanos))
	})
	g.tracker.DescribeUngrouped(ctx, all)
	report := &ungroupedReport{Processes: []ungroupedProcess{}, SuggestedRules: grouping.SuggestRules(all)}
	for i := range all {
		u := &all[i]
		if u.KernelThread {
			report.KernelThreads++
			continue
		}
		p := ungroupedProcess{PID: u.PID, Comm: u.Comm, User: u.Username, Command: u.Command}
		if u.IgnoredBy != nil {
			p.Ignored = u.IgnoredBy.Position
		}
		if _, known := before[u.ID]; known && pause > 0 {
			ratio := float64(used(u)) / float64(elapsed)
			p.CPU = &ratio
		}
		report.Processes = append(report.Processes, p)
	}
	return report, nil
}

// sleep waits for a time, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// print writes a table and the suggested rules.
func (r *ungroupedReport) print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "PID\tUSER\tCPU\tNAME\tCOMMAND")
	for i := range r.Processes {
		p := &r.Processes[i]
		command := shortPrintable(p.Command)
		if p.Ignored > 0 {
			command = strings.TrimSpace(command + fmt.Sprintf(" (ignored by rule %d)", p.Ignored))
		}
		fmt.Fprintf(out, "%d\t%s\t%s\t%s\t%s\n",
			p.PID, cmp.Or(shortPrintable(p.User), "-"), orDash(p.CPU, "%.3f"), shortPrintable(p.Comm), command)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	text := fmt.Sprintf("%s in no group, and %s.\n",
		count(len(r.Processes), "process", "processes"), count(r.KernelThreads, "kernel thread", "kernel threads"))
	if r.SuggestedRules != "" {
		text += "\nRules for these processes, to append to process_names:\n\n" + r.SuggestedRules
	}
	_, err := io.WriteString(w, text)
	return err
}

// count returns a number with a noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

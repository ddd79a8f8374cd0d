package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/cli/inspect"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/platform"
)

// A groupRow is a group as "process_exporter groups" tells it. A pointer is nil
// where the value could not be read of any process.
type groupRow struct {
	Name      string            `json:"groupname"`
	Labels    map[string]string `json:"labels,omitempty"`
	Procs     int               `json:"num_procs"`
	Threads   *int              `json:"num_threads"`
	CPU       *float64          `json:"cpu_usage_ratio"` // cores, during the pause
	Resident  *uint64           `json:"resident_bytes"`
	PSS       *uint64           `json:"proportional_bytes"`
	FDs       *uint64           `json:"open_filedesc"`
	ReadRate  *float64          `json:"read_bytes_per_second"`
	WriteRate *float64          `json:"write_bytes_per_second"`
	Oldest    *int64            `json:"oldest_start_time_seconds"`
	Rule      int               `json:"rule,omitempty"`
}

// sortKeys are what groups can be sorted by, the most first but for names.
var sortKeys = map[string]func(a, b *groupRow) int{
	"name":    func(a, b *groupRow) int { return 0 },
	"procs":   func(a, b *groupRow) int { return cmp.Compare(b.Procs, a.Procs) },
	"threads": func(a, b *groupRow) int { return cmp.Compare(known(b.Threads), known(a.Threads)) },
	"cpu":     func(a, b *groupRow) int { return cmp.Compare(known(b.CPU), known(a.CPU)) },
	"rss":     func(a, b *groupRow) int { return cmp.Compare(known(b.Resident), known(a.Resident)) },
	"fds":     func(a, b *groupRow) int { return cmp.Compare(known(b.FDs), known(a.FDs)) },
	"io": func(a, b *groupRow) int {
		return cmp.Compare(known(b.ReadRate)+known(b.WriteRate), known(a.ReadRate)+known(a.WriteRate))
	},
}

func known[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}

// groupsCommand is "process_exporter groups".
func groupsCommand() command {
	var asJSON bool
	var order string
	var pause time.Duration
	flags := func(app *kingpin.Application, _ *config.Settings) {
		app.Flag("json", "Print JSON.").BoolVar(&asJSON)
		app.Flag("sort", "Sort key: name, procs, threads, cpu, rss, fds or io.").PlaceHolder("KEY").Default("cpu").
			EnumVar(&order, "name", "procs", "threads", "cpu", "rss", "fds", "io")
		app.Flag("pause", "Interval for CPU and I/O rates. 0s omits them.").PlaceHolder("DURATION").Default("1s").DurationVar(&pause)
	}
	return command{
		CommandLine: config.CommandLine{
			Command: "groups",
			Help:    "Print the groups of this machine and their resource use.",
			Groups:  append([]config.FlagGroup{{Title: "Groups", Add: flags}}, config.RuleFlags()...),
		},
		run: func(ctx context.Context, s *config.Settings, args []string, w io.Writer) error {
			if err := refuseArgs(args); err != nil {
				return err
			}
			rows, err := measure(ctx, s, max(pause, 0))
			if err != nil {
				return err
			}
			slices.SortStableFunc(rows, func(a, b groupRow) int { return sortKeys[order](&a, &b) })
			if asJSON {
				enc := json.NewEncoder(w)
				enc.SetIndent("", "  ")
				return enc.Encode(rows)
			}
			return printGroups(w, rows)
		},
	}
}

// measure returns the groups by name, after two looks at all processes.
func measure(ctx context.Context, s *config.Settings, pause time.Duration) ([]groupRow, error) {
	v, err := groupProcesses(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() { _ = v.close() }()
	before, err := v.tracker.Update(ctx)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	after := before
	if pause > 0 {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if after, err = v.tracker.Update(ctx); err != nil {
			return nil, err
		}
	}
	was := make(map[string]*grouping.Group, len(before))
	for i := range before {
		was[before[i].Key()] = &before[i]
	}
	rows := make([]groupRow, len(after))
	for i := range after {
		rows[i] = rowOf(&after[i], v.tracker.LabelNames())
		if pause > 0 {
			rows[i].rates(&after[i], was[after[i].Key()], time.Since(start).Seconds())
		}
	}
	return rows, nil
}

func rowOf(g *grouping.Group, labels []string) groupRow {
	row := groupRow{Name: g.Name, Procs: g.Procs}
	for i, name := range labels {
		if g.Labels[i] != "" {
			if row.Labels == nil {
				row.Labels = make(map[string]string)
			}
			row.Labels[name] = g.Labels[i]
		}
	}
	if g.Known&platform.FieldMemory != 0 {
		row.Threads, row.Resident = &g.NumThreads, &g.ResidentBytes
	}
	if g.Known&platform.FieldSmaps != 0 {
		row.PSS = &g.PSSBytes
	}
	if g.Known&platform.FieldFDs != 0 {
		row.FDs = &g.FDs
	}
	if g.Procs > 0 {
		row.Oldest = &g.OldestStart
	}
	if g.Rule != nil {
		row.Rule = g.Rule.Position
	}
	return row
}

// rates fills in what changed since was, which is nil for a new group.
func (row *groupRow) rates(now, was *grouping.Group, seconds float64) {
	var none grouping.Group
	if was == nil {
		was = &none
	}
	rate := func(field platform.Fields, now, was uint64) *float64 {
		if row.Procs > 0 && field != 0 {
			v := float64(now-was) / seconds
			return &v
		}
		return nil
	}
	row.CPU = rate(now.Counted&platform.FieldStat, now.UserNanos+now.SystemNanos, was.UserNanos+was.SystemNanos)
	if row.CPU != nil {
		*row.CPU /= 1e9
	}
	row.ReadRate = rate(now.Counted&platform.FieldIO, now.ReadBytes, was.ReadBytes)
	row.WriteRate = rate(now.Counted&platform.FieldIO, now.WriteBytes, was.WriteBytes)
}

// printGroups prints a table for people. A dash is what could not be read.
func printGroups(w io.Writer, rows []groupRow) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "PROCS\tTHREADS\tCPU\tRSS\tPSS\tFDS\tREAD/S\tWRITE/S\tRULE\t  GROUP")
	for i := range rows {
		r := &rows[i]
		rule := "-"
		if r.Rule > 0 {
			rule = fmt.Sprint(r.Rule)
		}
		fmt.Fprintf(out, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", r.Procs, text(r.Threads, "%d"), text(r.CPU, "%.3f"),
			size(r.Resident), size(r.PSS), text(r.FDs, "%d"), size(r.ReadRate), size(r.WriteRate), rule, inspect.Printable(r.title()))
	}
	return out.Flush()
}

// title is the name of the group with its labels.
func (row *groupRow) title() string {
	var labels []string
	for name, value := range row.Labels {
		labels = append(labels, fmt.Sprintf("%s=%q", name, value))
	}
	if labels == nil {
		return row.Name
	}
	slices.Sort(labels)
	return row.Name + "{" + strings.Join(labels, ",") + "}"
}

func text[T any](v *T, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}

func size[T uint64 | float64](v *T) string {
	if v == nil {
		return "-"
	}
	return inspect.BytesText(uint64(*v))
}

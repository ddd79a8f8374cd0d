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
	"github.com/seed57308aee/process_exporter/internal/printable"
	"github.com/seed57308aee/process_exporter/internal/webui"
	"github.com/seed57308aee/process_exporter/platform"
)

// groupOrders are the values of --sort. All but name are descending.
var groupOrders = map[string]func(a, b *webui.Group) int{
	"name":    func(a, b *webui.Group) int { return 0 }, // the Tracker sorts by name
	"procs":   func(a, b *webui.Group) int { return cmp.Compare(b.Procs, a.Procs) },
	"threads": func(a, b *webui.Group) int { return cmp.Compare(orZero(b.NumThreads), orZero(a.NumThreads)) },
	"cpu":     func(a, b *webui.Group) int { return cmp.Compare(orZero(b.CPU), orZero(a.CPU)) },
	"rss":     func(a, b *webui.Group) int { return cmp.Compare(orZero(b.ResidentBytes), orZero(a.ResidentBytes)) },
	"fds":     func(a, b *webui.Group) int { return cmp.Compare(orZero(b.OpenFDs), orZero(a.OpenFDs)) },
	"net": func(a, b *webui.Group) int {
		return cmp.Compare(orZero(b.SentBytes)+orZero(b.ReceivedBytes), orZero(a.SentBytes)+orZero(a.ReceivedBytes))
	},
	"io": func(a, b *webui.Group) int {
		return cmp.Compare(orZero(b.ReadBytes)+orZero(b.WriteBytes), orZero(a.ReadBytes)+orZero(a.WriteBytes))
	},
}

// orZero returns the value of v, 0 if it is unknown.
func orZero[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}

// groupsCommand is "process_exporter groups".
func groupsCommand() command {
	var asJSON, unmatched bool
	var order string
	var pause time.Duration
	flags := func(app *kingpin.Application, _ *config.Settings) {
		app.Flag("json", "Print JSON.").BoolVar(&asJSON)
		app.Flag("unmatched", "List the processes in no group by CPU use, and suggest rules.").BoolVar(&unmatched)
		app.Flag("sort", "Sort key: name, procs, threads, cpu, rss, fds, io or net.").PlaceHolder("KEY").Default("cpu").
			EnumVar(&order, "name", "procs", "threads", "cpu", "rss", "fds", "io", "net")
		app.Flag("pause", "Measure CPU and I/O rates for this time. 0s: no rates.").PlaceHolder("DURATION").Default("1s").DurationVar(&pause)
	}
	return command{
		CommandLine: config.CommandLine{
			Command:  "groups",
			Help:     "Print the groups of this machine and their resource use.",
			Sections: append([]config.FlagSection{{Title: "Groups", Add: flags}}, config.GroupingFlags()...),
		},
		notes: readsProcNote,
		run: func(ctx context.Context, s *config.Settings, args []string, out output) error {
			if err := refuseArgs(args); err != nil {
				return err
			}
			use := readSockets
			if unmatched {
				use = noSockets
			}
			g, err := updateOnce(ctx, s, use)
			if err != nil {
				return err
			}
			defer func() { _ = g.close() }()
			if unmatched {
				g.printNotes(out.stderr, s, 0)
				report, err := g.findUngrouped(ctx, max(pause, 0))
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(out.stdout, report)
				}
				return report.print(out.stdout)
			}
			g.printNotes(out.stderr, s, shownCollectors)
			groups, _, err := g.measure(ctx, max(pause, 0))
			if err != nil {
				return err
			}
			slices.SortStableFunc(groups, func(a, b webui.Group) int { return groupOrders[order](&a, &b) })
			if asJSON {
				return printJSON(out.stdout, groups)
			}
			kind, _ := g.tracker.SocketsKind()
			return printGroups(out.stdout, groups, g.tracker.Ungrouped(), kind)
		},
	}
}

// printJSON prints a value as indented JSON.
func printJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(printable.JSONWriter{W: w})
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// measure returns the groups by name, as reports and as the Tracker has them. After the pause it
// walks again; rates are those since the walk of updateOnce. A group that appears during the
// pause has no rates. With a pause of 0 there is no second walk and no group has rates.
func (g *localGroups) measure(ctx context.Context, pause time.Duration) ([]webui.Group, []grouping.Group, error) {
	before, after := g.groups, g.groups
	if pause > 0 {
		err := sleep(ctx, pause)
		if err == nil {
			after, err = g.tracker.Update(ctx)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	seconds := time.Since(g.updated).Seconds()
	previous := make(map[string]*grouping.Group, len(before))
	for i := range before {
		previous[before[i].Key()] = &before[i]
	}
	groups := make([]webui.Group, len(after))
	for i := range after {
		groups[i] = webui.NewGroup(&after[i], g.tracker.LabelNames())
		if old := previous[after[i].Key()]; old != nil && pause > 0 {
			groups[i].SetRates(old, &after[i], seconds)
		}
	}
	return groups, after, nil
}

// networkTitles returns the titles of the columns of the network. There are none without a source
// of sockets, and no traffic with /proc.
func networkTitles(socketSource platform.SourceKind) string {
	switch socketSource {
	case "":
		return ""
	case platform.SourceProcfs:
		return "CONNS\t"
	}
	return "SENT/S\tRECV/S\tCONNS\t"
}

// networkText returns the columns of the network of a group.
func networkText(g *webui.Group, socketSource platform.SourceKind) string {
	connections := orDash(g.Connections, "%d") + "\t"
	switch socketSource {
	case "":
		return ""
	case platform.SourceProcfs:
		return connections
	}
	return bytesOrDash(g.SentBytes) + "\t" + bytesOrDash(g.ReceivedBytes) + "\t" + connections
}

// printGroups prints a table, and the number of processes in no group. Unknown values are
// dashes. socketSource is that of the network, "" without.
func printGroups(w io.Writer, groups []webui.Group, ungrouped []grouping.Ungrouped, socketSource platform.SourceKind) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "PROCS\tTHREADS\tCPU\tRSS\tPSS\tFDS\tREAD/S\tWRITE/S\t"+networkTitles(socketSource)+"RULE\t  GROUP")
	for i := range groups {
		g := &groups[i]
		rule := "-"
		if g.Rule != nil {
			rule = fmt.Sprint(g.Rule.Position)
		}
		fmt.Fprintf(out, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s%s\t  %s\n",
			g.Procs, orDash(g.NumThreads, "%d"), orDash(g.CPU, "%.3f"), bytesOrDash(g.ResidentBytes), bytesOrDash(g.ProportionalBytes),
			orDash(g.OpenFDs, "%d"), bytesOrDash(g.ReadBytes), bytesOrDash(g.WriteBytes),
			networkText(g, socketSource), rule, printable.Text(nameWithLabels(g)))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	kernel := 0
	for i := range ungrouped {
		if ungrouped[i].KernelThread {
			kernel++
		}
	}
	hint := ""
	if len(ungrouped) > kernel {
		hint = "; --unmatched lists the processes"
	}
	_, err := fmt.Fprintf(w, "%s and %s in no group%s.\n",
		count(len(ungrouped)-kernel, "process", "processes"), count(kernel, "kernel thread", "kernel threads"), hint)
	return err
}

// nameWithLabels returns the name of the group, and its labels in braces.
func nameWithLabels(g *webui.Group) string {
	var labels []string
	for name, value := range g.Labels {
		if value != "" {
			labels = append(labels, fmt.Sprintf("%s=%q", name, value))
		}
	}
	if labels == nil {
		return g.Name
	}
	slices.Sort(labels)
	return g.Name + "{" + strings.Join(labels, ",") + "}"
}

func orDash[T any](v *T, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}

func bytesOrDash[T uint64 | float64](v *T) string {
	if v == nil {
		return "-"
	}
	return inspect.BytesText(uint64(*v))
}

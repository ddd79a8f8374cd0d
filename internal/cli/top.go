package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/daemon"
	"github.com/seed57308aee/process_exporter/internal/printable"
	"github.com/seed57308aee/process_exporter/internal/tui"
	"github.com/seed57308aee/process_exporter/internal/webui"
	"github.com/seed57308aee/process_exporter/platform"
)

// topFlags are the flags of "process_exporter top".
type topFlags struct {
	url      string
	remote   remoteFlags
	interval time.Duration
	once     bool
	batch    bool
	repeat   int // tables of batch, 0 is no limit
	json     bool
}

// topCommand is "process_exporter top".
func topCommand() command {
	var f topFlags
	flags := func(app *kingpin.Application, _ *config.Settings) {
		app.Flag("url", "Read a running exporter, such as http://host:9256, not this machine.").PlaceHolder("URL").StringVar(&f.url)
		f.remote.add(app)
		app.Flag("interval", "Refresh interval, at least 1s.").PlaceHolder("DURATION").Default("2s").DurationVar(&f.interval)
		app.Flag("once", "Print one table and exit. Default if stdout is not a terminal.").BoolVar(&f.once)
		app.Flag("batch", "Print a table at every interval, for scripts.").BoolVar(&f.batch)
		app.Flag("repeat", "Number of tables that --batch prints. 0: until it is stopped.").PlaceHolder("N").Default("0").IntVar(&f.repeat)
		app.Flag("json", "Print JSON: once, or with --batch a line at every interval.").BoolVar(&f.json)
	}
	return command{
		CommandLine: config.CommandLine{
			Command:  "top",
			Help:     "Show the groups of this machine, or of a remote exporter, in the terminal.",
			Sections: append([]config.FlagSection{{Title: "Top", Add: flags}}, config.GroupingFlags()...),
		},
		run: func(ctx context.Context, s *config.Settings, args []string, out output) error {
			if err := refuseArgs(args); err != nil {
				return err
			}
			if f.interval < time.Second {
				return fmt.Errorf("invalid value %q for --interval: use a second or more", f.interval)
			}
			if f.repeat < 0 || f.repeat > 0 && !f.batch {
				return errors.New("--repeat needs --batch and a positive number")
			}
			return f.run(ctx, s, out)
		},
	}
}

func (f *topFlags) run(ctx context.Context, s *config.Settings, out output) error {
	reporter, err := f.reporter(s, out.stderr)
	if err != nil {
		return err
	}
	first, err := reporter.Report(ctx)
	if err != nil {
		return err
	}
	w := out.stdout
	if t, ok := w.(terminal); ok && !f.once && !f.json && !f.batch {
		return tui.Run(ctx, tui.Options{Reporter: reporter, Interval: f.interval, First: first, Input: os.Stdin, Output: t.file})
	}
	report, err := f.withRates(ctx, reporter, first)
	if err != nil {
		return err
	}
	if f.batch {
		return f.printAll(ctx, reporter, report, w)
	}
	if f.json {
		return printJSON(w, report)
	}
	_, err = io.WriteString(w, tui.Print(&report))
	return err
}

// printAll prints a report, and the next ones at every interval.
func (f *topFlags) printAll(ctx context.Context, reporter tui.Reporter, report webui.Report, w io.Writer) error {
	ticker := time.NewTicker(f.interval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		if err := f.printOne(&report, w); err != nil || n == f.repeat {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		var err error
		if report, err = reporter.Report(ctx); err != nil {
			return err
		}
	}
}

// printOne prints a report as one line of JSON, or as a table between a line with the time and
// an empty line.
func (f *topFlags) printOne(report *webui.Report, w io.Writer) error {
	if f.json {
		return json.NewEncoder(printable.JSONWriter{W: w}).Encode(report)
	}
	_, err := io.WriteString(w, report.Time.UTC().Format(time.RFC3339)+"\n"+tui.Print(report)+"\n")
	return err
}

// withRates returns first if it has rates, else the next report that has some.
func (f *topFlags) withRates(ctx context.Context, reporter tui.Reporter, first webui.Report) (webui.Report, error) {
	for first.Interval == 0 {
		select {
		case <-time.After(f.interval):
		case <-ctx.Done():
			return first, errors.New("interrupted")
		}
		var err error
		if first, err = reporter.Report(ctx); err != nil {
			return first, err
		}
	}
	return first, nil
}

// reporter returns the source of reports: a remote exporter, or walks of this
// program, whose notes it prints to stderr.
func (f *topFlags) reporter(s *config.Settings, stderr io.Writer) (tui.Reporter, error) {
	if f.url != "" {
		return f.remote.client(f.url)
	}
	rules, err := s.LoadRules()
	if err != nil {
		return nil, err
	}
	s.Sandbox = "off" // commands do not enter it
	source, err := s.OpenSource()
	if err != nil {
		return nil, err
	}
	sockets, socketsErr := s.OpenSockets(rules, 0)
	tracker := daemon.NewTracker(s, daemon.Sources{Processes: source, Sockets: sockets}, rules)
	printNotes(stderr, rules, missingCapabilities(s, tracker, rules, shownCollectors))
	printSocketNote(stderr, tracker, socketsErr)
	groups := collector.New(collector.Options{Tracker: tracker, Logger: slog.New(slog.DiscardHandler)})
	start := webui.Timestamp{Time: time.Now().UTC()}
	hostname, _ := os.Hostname() // "" if it is unknown
	recorder := webui.NewRecorder(groups, webui.Options{
		MaxAge:   f.interval * 9 / 10, // a tenth less, so that a timer that fires early still starts a walk
		Hostname: hostname,
		Machine:  platform.OpenMachine(s.ProcFS).Read, // stays open, as the source does
		Describe: func(e *webui.ExporterStatus) { e.StartTime, e.ReloadTime, e.ReloadSuccessful = start, start, true },
	})
	// The source stays open: an active walk may outlive this command.
	return localReporter{recorder}, nil
}

// localReporter returns the error of a report as an error.
type localReporter struct{ *webui.Recorder }

// Report implements [tui.Reporter].
func (r localReporter) Report(ctx context.Context) (webui.Report, error) {
	return withError(r.Recorder.Report(ctx))
}

// Detail implements [tui.Reporter].
func (r localReporter) Detail(ctx context.Context, name string) (webui.Report, error) {
	report, err := withError(r.Recorder.Detail(ctx, name))
	if err == nil && len(report.Groups) == 0 {
		err = fmt.Errorf("group %q no longer exists", name)
	}
	return report, err
}

func withError(report webui.Report) (webui.Report, error) {
	switch e := &report.Exporter; {
	case e.ScrapeSuccess:
		return report, nil
	case e.Error == "":
		return report, errors.New("timed out waiting for a walk over all processes")
	default:
		return report, errors.New(e.Error)
	}
}

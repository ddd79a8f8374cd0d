package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/charmbracelet/x/term"

	"github.com/seed57308aee/process_exporter/collector"
	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/internal/tui"
	"github.com/seed57308aee/process_exporter/internal/webui"
)

// topFlags are those of "process_exporter top" alone.
type topFlags struct {
	url      string
	insecure bool
	interval time.Duration
	once     bool
	json     bool
}

// topCommand is "process_exporter top".
func topCommand() command {
	var f topFlags
	return command{
		name: "top",
		help: "Show the groups of this machine, or of one where an exporter runs, in the terminal.",
		flags: func(app *kingpin.Application) {
			app.Flag("url", "Where an exporter runs, such as http://host:9256; without it, this program looks itself.").StringVar(&f.url)
			app.Flag("insecure", "Do not check the certificate of --url.").BoolVar(&f.insecure)
			app.Flag("interval", "From one look to the next, a second at least.").Default("2s").DurationVar(&f.interval)
			app.Flag("once", "Print the groups once, as where the output is no terminal.").BoolVar(&f.once)
			app.Flag("json", "Print them once, as JSON.").BoolVar(&f.json)
		},
		run: func(ctx context.Context, s *settings, args []string, w io.Writer) error {
			if len(args) > 0 {
				return fmt.Errorf("unexpected argument %q: only flags are known, %s lists them", args[0], helpFlag)
			}
			if f.interval < time.Second {
				return fmt.Errorf("invalid value %q for --interval: use a second or more", f.interval)
			}
			return f.run(ctx, s, w)
		},
	}
}

func (f *topFlags) run(ctx context.Context, s *settings, w io.Writer) error {
	reporter, err := f.reporter(s)
	if err != nil {
		return err
	}
	first, err := reporter.Report(ctx)
	if err != nil {
		return err
	}
	out, isFile := w.(*os.File)
	if !f.once && !f.json && isFile && term.IsTerminal(out.Fd()) {
		return tui.Run(ctx, tui.Options{Reporter: reporter, Interval: f.interval, First: first, Input: os.Stdin, Output: out})
	}
	report, err := f.withRates(ctx, reporter, first)
	if err != nil {
		return err
	}
	if f.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(report)
	}
	_, err = io.WriteString(w, tui.Print(&report))
	return err
}

// withRates waits for a report that has rates, if first has none.
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

// reporter returns who is to be asked.
func (f *topFlags) reporter(s *settings) (tui.Reporter, error) {
	if f.url != "" {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: f.insecure}
		client, err := webui.NewClient(f.url, &http.Client{Timeout: 15 * time.Second, Transport: transport})
		return client, err
	}
	r, err := loadRules(s)
	if err != nil {
		return nil, err
	}
	source, err := openSource(s)
	if err != nil {
		return nil, err
	}
	tracker := grouping.NewTracker(source, r.matcher, trackerOptions(s))
	groups := collector.New(collector.Options{Tracker: tracker, Logger: slog.New(slog.DiscardHandler)})
	start := time.Now().UTC()
	// A look that is a little early is a new one all the same.
	recorder := webui.NewRecorder(groups, f.interval*9/10, func(e *webui.Exporter) {
		e.Start, e.ConfigTime, e.ConfigReloaded = start, start, true
	})
	// The source stays open: a walk that is under way ends with the program.
	return ownReporter{recorder}, nil
}

// ownReporter tells errors apart from reports, as a daemon's answers do not.
type ownReporter struct{ *webui.Recorder }

// Report implements [tui.Reporter].
func (r ownReporter) Report(ctx context.Context) (webui.Report, error) {
	return withError(r.Recorder.Report(ctx))
}

// Detail implements [tui.Reporter].
func (r ownReporter) Detail(ctx context.Context, name string) (webui.Report, error) {
	report, err := withError(r.Recorder.Detail(ctx, name))
	if err == nil && len(report.Groups) == 0 {
		err = fmt.Errorf("there is no group %q any more", name)
	}
	return report, err
}

func withError(report webui.Report) (webui.Report, error) {
	switch e := &report.Exporter; {
	case e.ScrapeSuccess:
		return report, nil
	case e.Error == "":
		return report, errors.New("no walk over the processes has ended in time")
	default:
		return report, errors.New(e.Error)
	}
}

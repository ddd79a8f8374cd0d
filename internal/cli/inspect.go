package cli

import (
	"context"
	"os"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"github.com/seed57308aee/process_exporter/internal/cli/inspect"
	"github.com/seed57308aee/process_exporter/internal/config"
)

// inspectCommand is "process_exporter inspect". It reads processes with the
// privileges of the user and needs no running exporter.
func inspectCommand() command {
	in := &inspect.Reporter{By: config.Program + " " + version.Version}
	var attrs string
	flags := func(app *kingpin.Application, _ *config.Settings) {
		app.Flag("json", "Print one JSON document, with the names and units of psutil.").BoolVar(&in.JSON)
		app.Flag("attrs", "Comma-separated attributes to print, instead of all.").PlaceHolder("NAME,...").StringVar(&attrs)
		app.Flag("watch", "Print again at this interval, until interrupted.").PlaceHolder("DURATION").DurationVar(&in.Watch)
		app.Flag("timeout", "Timeout per process. Values that take longer are omitted.").PlaceHolder("DURATION").
			Default("2s").DurationVar(&in.Timeout)
		app.Flag("show-environ", "Print values of environment variables. They can contain passwords.").BoolVar(&in.ShowEnviron)
	}
	return command{
		CommandLine: config.CommandLine{
			Command:  "inspect",
			Args:     "PID|NAME...",
			Help:     "Print all details of processes.",
			Sections: []config.FlagSection{{Title: "Inspect", Add: flags}},
		},
		notes: "NAME is a process name (comm), in full if Linux truncated it to 15 bytes.\n",
		run: func(ctx context.Context, _ *config.Settings, args []string, out output) error {
			in.Targets = args
			if attrs != "" {
				in.Attrs = strings.Split(attrs, ",")
			}
			if err := in.Validate(); err != nil {
				return err
			}
			if t, ok := out.stdout.(terminal); ok && os.Getenv("NO_COLOR") == "" {
				in.Colour = true
				return in.Run(ctx, t.file) // the report escapes all values itself
			}
			return in.Run(ctx, out.stdout)
		},
	}
}

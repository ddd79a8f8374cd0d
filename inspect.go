package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"github.com/seed57308aee/process_exporter/internal/cli/inspect"
)

// runInspect does what "process_exporter inspect" is called for and returns the
// exit status. It is a tool for people: it looks at processes as the user who
// runs it, needs no exporter, and leaves nothing behind.
func runInspect(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := runReport(ctx, args, stdout)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "%s inspect: %s\n", program, oneLine(err))
	return 1
}

func runReport(ctx context.Context, args []string, stdout io.Writer) error {
	in, help, err := parseInspection(args)
	if err != nil {
		return err
	}
	if help != "" {
		_, err := io.WriteString(stdout, help)
		return err
	}
	in.Colour = isTerminal(stdout) && os.Getenv("NO_COLOR") == ""
	return in.Run(ctx, stdout)
}

// parseInspection reads the command line of the subcommand. Where it asks for
// help, that is returned instead.
func parseInspection(args []string) (in *inspect.Report, help string, err error) {
	in = &inspect.Report{By: program + " " + version.Version}
	var usage strings.Builder
	app := kingpin.New(program+" inspect", "Print everything about processes.")
	app.UsageWriter(&usage).Terminate(func(int) {})
	app.Arg("PID|NAME", "Processes: numbers, lists of them with commas, or names.").StringsVar(&in.Targets)
	app.Flag("json", "Print one JSON document, in the units and with the names of psutil.").BoolVar(&in.JSON)
	attrs := app.Flag("attrs", "Comma-separated names of what to print, instead of everything.").PlaceHolder("NAME,...").String()
	app.Flag("watch", "Print again after every such time, until interrupted.").PlaceHolder("2s").DurationVar(&in.Watch)
	app.Flag("timeout", "How long to wait for one process. What it has not answered by then is left out.").Default("2s").DurationVar(&in.Timeout)
	app.Flag("show-environ", "Print the values of environment variables, which may be secrets.").BoolVar(&in.ShowEnviron)
	app.HelpFlag.Short('h')
	if slices.Contains(args, "-h") || slices.Contains(args, helpFlag) {
		app.Usage(nil)
		return nil, usage.String(), nil
	}
	if _, err := app.Parse(args); err != nil {
		return nil, "", fmt.Errorf("%w; %s lists what is allowed", err, helpFlag)
	}
	if *attrs != "" {
		in.Attrs = strings.Split(*attrs, ",")
	}
	return in, "", in.Validate()
}

// isTerminal reports whether somebody may be reading along.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

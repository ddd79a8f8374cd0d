package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/seed57308aee/process_exporter/platform"
)

// inspection is what the command line of the inspect subcommand asks for.
type inspection struct {
	targets     []string // PIDs, lists of them, or names
	attrs       []string // of the report; none is all
	json        bool
	showEnviron bool
	watch       time.Duration // 0 reports once
	timeout     time.Duration // for the answers of one process
	colour      bool
	asker       *asker
	help        string // to be printed instead, if any
}

// runInspect does what "process_exporter inspect" is called for and returns the
// exit status. It is a tool for people: it looks at processes as the user who
// runs it, needs no exporter, and leaves nothing behind.
func runInspect(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := inspect(ctx, args, stdout)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "%s inspect: %s\n", program, oneLine(err))
	return 1
}

func inspect(ctx context.Context, args []string, stdout io.Writer) error {
	in, err := parseInspection(args)
	if err != nil {
		return err
	}
	if in.help != "" {
		_, err := io.WriteString(stdout, in.help)
		return err
	}
	in.colour = isTerminal(stdout) && os.Getenv("NO_COLOR") == ""
	in.asker = newAsker(in.timeout)
	if in.watch == 0 {
		return in.report(stdout)
	}
	return in.repeat(ctx, stdout)
}

// repeat reports again and again. A process that does not answer may do so the
// next time; any other trouble ends it.
func (in *inspection) repeat(ctx context.Context, stdout io.Writer) error {
	ticker := time.NewTicker(in.watch)
	defer ticker.Stop()
	for {
		if in.colour { // to the top left corner, and wipe the screen
			if _, err := io.WriteString(stdout, "\x1b[H\x1b[2J"); err != nil {
				return err
			}
		}
		err := in.report(stdout)
		if err != nil && !errors.Is(err, platform.ErrBlocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// parseInspection reads the command line of the subcommand.
func parseInspection(args []string) (*inspection, error) {
	in := new(inspection)
	var usage strings.Builder
	app := kingpin.New(program+" inspect", "Print everything about processes.")
	app.UsageWriter(&usage).Terminate(func(int) {})
	app.Arg("PID|NAME", "Processes: numbers, lists of them with commas, or names.").StringsVar(&in.targets)
	app.Flag("json", "Print one JSON document, in the units and with the names of psutil.").BoolVar(&in.json)
	attrs := app.Flag("attrs", "Comma-separated names of what to print, instead of everything.").PlaceHolder("NAME,...").String()
	app.Flag("watch", "Print again after every such time, until interrupted.").PlaceHolder("2s").DurationVar(&in.watch)
	app.Flag("timeout", "How long to wait for one process. What it has not answered by then is left out.").Default("2s").DurationVar(&in.timeout)
	app.Flag("show-environ", "Print the values of environment variables, which may be secrets.").BoolVar(&in.showEnviron)
	app.HelpFlag.Short('h')
	if slices.Contains(args, "-h") || slices.Contains(args, helpFlag) {
		app.Usage(nil)
		in.help = usage.String()
		return in, nil
	}
	if _, err := app.Parse(args); err != nil {
		return nil, fmt.Errorf("%w; %s lists what is allowed", err, helpFlag)
	}
	if *attrs != "" {
		in.attrs = strings.Split(*attrs, ",")
	}
	return in, in.validate()
}

func (in *inspection) validate() error {
	switch {
	case len(in.targets) == 0:
		return errors.New("no process is named: write a PID or a name")
	case in.watch < 0:
		return fmt.Errorf("invalid value %q for --watch: a pause cannot be negative", in.watch)
	case in.timeout <= 0:
		return fmt.Errorf("invalid value %q for --timeout: it takes some time to answer", in.timeout)
	}
	for _, name := range in.attrs {
		if !slices.ContainsFunc(facets(), func(f facet) bool { return f.name == name }) {
			return fmt.Errorf("invalid value %q for --attrs: there are %s", name, strings.Join(facetNames(), ", "))
		}
	}
	return nil
}

// report writes one report of all targets.
func (in *inspection) report(w io.Writer) error {
	pids, err := in.pids()
	if err != nil {
		return err
	}
	if in.json {
		return in.writeJSON(w, pids)
	}
	return in.writeText(w, pids)
}

// pids returns the processes that the targets name. A number is taken as it
// is, whether or not there is such a process.
func (in *inspection) pids() ([]int, error) {
	var pids []int
	var names []string
	for _, target := range in.targets {
		for part := range strings.SplitSeq(target, ",") {
			if pid, err := strconv.Atoi(part); err == nil {
				pids = append(pids, pid)
			} else {
				names = append(names, part)
			}
		}
	}
	if len(names) > 0 {
		found, err := in.pidsNamed(names)
		if err != nil {
			return nil, err
		}
		pids = append(pids, found...)
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// pidsNamed returns the processes with one of these names. Each must be there.
func (in *inspection) pidsNamed(names []string) ([]int, error) {
	all, err := platform.PIDs()
	if err != nil {
		return nil, err
	}
	var pids []int
	var silent error
	missing := make(map[string]bool)
	for _, name := range names {
		missing[name] = true
	}
	for _, pid := range all {
		answers, err := in.asker.ask(pid, []platform.Attr{"name"})
		if err == nil {
			err = answers["name"].err
		}
		switch name := answers["name"].value; {
		case errors.Is(err, platform.ErrBlocked):
			silent = errors.Join(silent, fmt.Errorf("%w: %d", platform.ErrBlocked, pid))
		case err == nil && slices.Contains(names, name.(string)):
			pids = append(pids, pid)
			delete(missing, name.(string))
		}
	}
	for _, name := range names {
		if missing[name] {
			return nil, errors.Join(fmt.Errorf("no process is called %q", name), silent)
		}
	}
	return pids, nil
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

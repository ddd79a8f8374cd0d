// Command process_exporter serves what groups of processes use as Prometheus
// metrics. This package reads the command line, wires the other packages
// together and speaks HTTP; it knows nothing of how a process is read, put
// into a group or turned into a metric.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/prometheus/common/version"

	"github.com/seed57308aee/process_exporter/platform"
)

// program is the name under which the exporter reports errors and its version.
const program = "process_exporter"

func main() {
	// A log pipe whose reader has died is no reason to stop serving metrics.
	// Without this, Go ends a program that writes to a broken stdout or stderr.
	signal.Ignore(syscall.SIGPIPE)
	raiseCapabilities(os.Stderr)
	frugal()
	sleepDeeply()
	respectMemoryLimit()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// raiseCapabilities lets the program use what it is permitted. Where that fails
// it goes on, with what it has: what it then cannot read is left out.
func raiseCapabilities(stderr io.Writer) {
	if err := platform.RaiseCapabilities(); err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", program, oneLine(err))
	}
}

// frugal lets the program use one core and little memory, unless the
// environment says otherwise. A walk is one thread's work: more of them only
// move it from core to core, at a twentieth of its cost. What a scrape leaves
// for the garbage collector is small beside what lives on, so that to collect
// early costs nothing that can be measured.
func frugal() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
}

// run does what args ask for until ctx ends and returns the exit status.
// Whatever goes wrong becomes exactly one line on stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "inspect" {
		return runInspect(args[1:], stdout, stderr)
	}
	if status, found := runCommand(ctx, args, stdout, stderr); found {
		return status
	}
	log := newLogSink(stderr)
	defer log.close()
	err := dispatch(ctx, args, stdout, log)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFindings):
		return 1 // the findings themselves are printed already
	}
	fmt.Fprintf(log, "%s: %s\n", program, oneLine(err))
	return 1
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parseFlags(args)
	if err != nil {
		return err
	}
	switch {
	case s.help:
		return writeUsage(stdout)
	case s.version:
		_, err = fmt.Fprintln(stdout, version.Print(program))
		return err
	case s.man:
		return writeManual(stdout)
	case s.check:
		return check(s, stdout)
	case s.healthCheck:
		return healthCheck(ctx, s, stdout)
	}
	e, err := newExporter(s, newLogger(s, stderr))
	if err != nil {
		return err
	}
	if s.onceDelay != 0 {
		return e.once(ctx, stdout)
	}
	return e.serve(ctx)
}

// oneLine returns the text of err without line breaks, for some libraries
// spread their errors over several lines and a log collector would cut them.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

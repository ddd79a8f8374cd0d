// Package cli implements the command line: it runs the daemon or one of the
// commands, and prints errors.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/seed57308aee/process_exporter/internal/config"
	"github.com/seed57308aee/process_exporter/internal/daemon"
	"github.com/seed57308aee/process_exporter/internal/logging"
	"github.com/seed57308aee/process_exporter/platform"
)

// errFindings is the error of a check that has printed what it found.
var errFindings = errors.New("the configuration has errors")

// Run runs the program with the arguments that follow its name. It returns the
// exit status: 0, or 1 after an error.
func Run(args []string) int {
	// By default, Go ends a program that writes to a closed stdout or stderr.
	// The daemon must continue if the reader of its log exits. Commands get
	// EPIPE from the write instead.
	signal.Ignore(syscall.SIGPIPE)
	stdout, stderr := outputTo(os.Stdout), outputTo(os.Stderr)
	if err := platform.RaiseCapabilities(); err != nil {
		// Without them some data is not exported, which the daemon reports.
		fmt.Fprintf(stderr, "%s: %s\n", config.Program, logging.OneLine(err))
	}
	daemon.TuneRuntime()
	return execute(context.Background(), args, stdout, stderr)
}

// execute runs a command, or the daemon if args begins with a flag, until it ends or
// ctx does. An error is one line on stderr. A closed stdout is not an error: its
// reader does not need more output.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	command := config.Program
	var err error
	switch {
	case len(args) > 0 && args[0] == "help":
		err = runHelp(args[1:], stdout)
	case len(args) > 0 && !strings.HasPrefix(args[0], "-"):
		command += " " + args[0]
		err = runCommand(ctx, args[0], args[1:], output{stdout, stderr})
		if errors.Is(err, errUnknownCommand) {
			command = config.Program
		}
	default:
		log := logging.NewSink(stderr, config.Program)
		defer log.Close()
		stderr = log
		err = runDaemon(ctx, args, stdout, log)
	}
	switch {
	case err == nil, isClosedOutput(err):
		return 0
	case !errors.Is(err, errFindings):
		fmt.Fprintf(stderr, "%s: %s\n", command, logging.OneLine(err))
	}
	return 1
}

// runDaemon serves, or does what a one-shot flag says.
func runDaemon(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := config.Parse(args)
	if err != nil {
		return err
	}
	switch {
	case s.Help:
		return printUsage(stdout)
	case s.Version:
		_, err = fmt.Fprintln(stdout, versionText())
		return err
	case s.Manual:
		return printManual(stdout)
	}
	if err := daemon.ValidateTelemetryPath(s); err != nil {
		return err
	}
	switch {
	case s.ConfigCheck:
		return checkFiles(s, stdout)
	case s.HealthCheck:
		return checkHealth(ctx, s, stdout)
	}
	e, err := daemon.New(s, logging.New(s.Log, stderr))
	if err != nil {
		return err
	}
	if s.OnceDelay != 0 {
		return scrapeOnce(ctx, e, s.OnceDelay, stdout)
	}
	return e.Serve(ctx)
}

// isClosedOutput reports whether err is the error of writing to a pipe whose
// reader has exited, such as in "process_exporter --help | head -1".
func isClosedOutput(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe) && pe.Path == os.Stdout.Name() && errors.Is(pe, syscall.EPIPE)
}

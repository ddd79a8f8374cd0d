package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/seed57308aee/process_exporter/internal/config"
)

// A command is a subcommand. Commands that group processes accept the flags of
// the daemon about rules and data sources, so that those of a unit file can be
// copied.
type command struct {
	config.CommandLine
	notes string // lines of help before the flags, "" for none
	run   func(ctx context.Context, s *config.Settings, args []string, out output) error
}

// An output is where a command prints: the result to stdout, notes about it to stderr.
type output struct{ stdout, stderr io.Writer }

// readsProcNote is the help of commands that walk over the processes once.
const readsProcNote = "With --source=auto this command reads processes from /proc, not with BPF.\n"

// commands returns all subcommands except help.
func commands() []command {
	return []command{checkCommand(), explainCommand(), groupsCommand(), topCommand(), inspectCommand()}
}

// errUnknownCommand matches the error of a command that does not exist.
var errUnknownCommand = errors.New("unknown command")

// findCommand returns the command of this name.
func findCommand(name string) (command, error) {
	known := map[string]bool{"help": true}
	for _, c := range commands() {
		if c.Command == name {
			return c, nil
		}
		known[c.Command] = true
	}
	if similar := config.Suggest(name, known); similar != "" {
		return command{}, fmt.Errorf("%w %q: did you mean %q?", errUnknownCommand, name, similar)
	}
	return command{}, fmt.Errorf("%w %q: %s lists all commands", errUnknownCommand, name, config.HelpFlag)
}

// runCommand runs the command of this name until it ends or SIGINT arrives.
func runCommand(ctx context.Context, name string, args []string, out output) error {
	c, err := findCommand(name)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	s, rest, err := c.Parse(args)
	switch {
	case err != nil:
		return err
	case s.Help:
		_, err := io.WriteString(out.stdout, c.Usage(c.notes))
		return err
	}
	if err := s.ValidateGroupingFlags(); err != nil {
		return err
	}
	return c.run(ctx, s, rest, out)
}

// refuseArgs returns an error if a command that takes only flags has arguments.
func refuseArgs(args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q: only flags are allowed here, %s lists them", args[0], config.HelpFlag)
}

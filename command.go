package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/seed57308aee/process_exporter/grouping"
	"github.com/seed57308aee/process_exporter/platform"
)

// A command is a subcommand that looks at rules, or at processes through them.
// It takes the flags that say so to the exporter itself, so that those of a unit
// file can be given as they are, and serves nothing.
type command struct {
	name, help string
	args       string // what may stand beside flags, for people
	flags      func(*kingpin.Application)
	run        func(ctx context.Context, s *settings, args []string, w io.Writer) error
}

// commands returns the subcommands, but for inspect, which knows no rules.
func commands() []command {
	return []command{checkCommand(), explainCommand(), groupsCommand(), topCommand()}
}

// runCommand runs the subcommand that args begin with and returns the exit
// status. found is false if there is none of that name.
func runCommand(ctx context.Context, args []string, stdout, stderr io.Writer) (status int, found bool) {
	if len(args) == 0 {
		return 0, false
	}
	all := commands()
	at := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if at < 0 {
		return 0, false
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	err := all[at].start(ctx, args[1:], stdout)
	switch {
	case err == nil:
		return 0, true
	case !errors.Is(err, errFindings): // those are printed already
		fmt.Fprintf(stderr, "%s %s: %s\n", program, args[0], oneLine(err))
	}
	return 1, true
}

func (c *command) start(ctx context.Context, args []string, stdout io.Writer) error {
	s := new(settings)
	app := c.app(s)
	flags, rest, err := splitArgs(args, kindsOf(app))
	if err != nil {
		return err
	}
	if n := len(flags); n > 0 && flags[n-1] == helpFlag {
		app.UsageWriter(stdout).Terminate(func(int) {})
		app.Usage(nil)
		return nil
	}
	if _, err := app.Parse(flags); err != nil {
		return nameFlag(flags, err, func() *kingpin.Application { return c.app(new(settings)) })
	}
	if err := s.exclusive(); err != nil {
		return err
	}
	return c.run(ctx, s, rest, stdout)
}

func (c *command) app(s *settings) *kingpin.Application {
	app := kingpin.New(strings.TrimSpace(program+" "+c.name+" "+c.args), c.help)
	addRuleFlags(app, s)
	addReadFlags(app, s)
	if c.flags != nil {
		c.flags(app)
	}
	app.HelpFlag.Short('h')
	return app
}

// splitArgs parts flags, which it rewrites as [canonical] does, from the rest.
func splitArgs(args []string, kinds map[string]flagKind) (flags, rest []string, err error) {
	for len(args) > 0 {
		if !isFlag(args[0]) || args[0] == "--" {
			if args[0] != "--" {
				rest = append(rest, args[0])
			}
			args = args[1:]
			continue
		}
		if isHelp(args[0]) {
			return []string{helpFlag}, nil, nil
		}
		_, used, err := readFlag(args, kinds)
		if err != nil {
			return nil, nil, err
		}
		flags = append(flags, args[:used]...)
		args = args[used:]
	}
	flags, err = canonical(flags, kinds)
	return flags, rest, err
}

// A view is the processes of this machine in their groups, without an exporter.
type view struct {
	rules   rules
	tracker *grouping.Tracker
	close   func() error
}

// newView puts the processes into groups once. It reads /proc unless told
// otherwise: to load programs into the kernel for one look is not worth while.
func newView(ctx context.Context, s *settings) (*view, error) {
	r, err := loadRules(s)
	if err != nil {
		return nil, err
	}
	if s.source == string(platform.KindAuto) {
		s.source = string(platform.KindProcfs)
	}
	source, err := openSource(s)
	if err != nil {
		return nil, err
	}
	v := &view{rules: r, tracker: grouping.NewTracker(source, r.matcher, trackerOptions(s)), close: source.Close}
	if _, err := v.tracker.Update(ctx); err != nil {
		_ = v.close() // nothing has been written to it
		return nil, err
	}
	return v, nil
}

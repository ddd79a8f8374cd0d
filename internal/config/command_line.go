package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// A CommandLine describes the arguments of one command.
type CommandLine struct {
	Command  string // "" for the daemon
	Args     string // placeholder of the arguments that are not flags, "" for none
	Help     string // one sentence
	Sections []FlagSection
}

// newApp returns a kingpin parser that stores the values of flags in s.
func (c CommandLine) newApp(s *Settings) *kingpin.Application {
	app := kingpin.New(Program, c.Help)
	for _, g := range c.Sections {
		g.Add(app, s)
	}
	app.HelpFlag.Short('h').Help("Print this help.")
	return app
}

// Parse parses the arguments that follow the command. It returns the settings
// and the arguments that are not flags. With --help or --version it returns
// early and sets no other field of Settings.
func (c CommandLine) Parse(args []string) (s *Settings, rest []string, err error) {
	s = new(Settings)
	app := c.newApp(s)
	kinds := flagKinds(app)
	if c.Command != "" {
		args, rest, err = splitArgs(args, kinds)
	}
	if err == nil {
		args, err = normalize(args, kinds)
	}
	if err != nil {
		return nil, nil, err
	}
	if n := len(args); n > 0 && args[n-1] == HelpFlag {
		s.Help = true
		return s, rest, nil
	}
	if c.Command == "" {
		// Kingpin sets no defaults if it parses a flag of this name.
		if slices.Contains(args, "--version") {
			s.Version = true
			return s, nil, nil
		}
		args = slices.DeleteFunc(args, func(arg string) bool { return arg == "--no-version" })
	}
	if _, err := app.Parse(args); err != nil {
		return nil, nil, c.nameFlag(args, err)
	}
	s.Collectors, s.collectorFlags = s.collectorFlags.collectors(), collectorFlags{}
	if s.Debug {
		_ = s.Log.Level.Set("debug") // a level that always exists
	}
	return s, rest, nil
}

// nameFlag returns an error that names the flag with the invalid value, which
// kingpin's error does not. It parses each flag separately to find it.
func (c CommandLine) nameFlag(args []string, err error) error {
	for _, arg := range args {
		if _, cause := c.newApp(new(Settings)).Parse([]string{arg}); cause != nil {
			name, value, _ := strings.Cut(arg, "=")
			if similar := c.suggestUnit(name, value); similar != "" {
				return fmt.Errorf("invalid value %q for %s: did you mean %s?", value, name, similar)
			}
			return fmt.Errorf("invalid value %q for %s: %w; %s lists the allowed values", value, name, cause, HelpFlag)
		}
	}
	return err
}

// suggestUnit returns a value with a unit that a flag accepts, "" for none: 5s for 5, or 5ms if the
// default is in milliseconds, and 8GiB for 8G.
func (c CommandLine) suggestUnit(flag, value string) string {
	units := []string{"s", "iB", "B"}
	model := c.newApp(new(Settings)).GetFlag(strings.TrimLeft(flag, "-")).Model()
	if slices.ContainsFunc(model.Default, func(d string) bool { return strings.HasSuffix(d, "ms") }) {
		units = []string{"ms"}
	}
	for _, unit := range units {
		if _, err := c.newApp(new(Settings)).Parse([]string{flag + "=" + value + unit}); err == nil {
			return value + unit
		}
	}
	return ""
}

// Parse parses the command line of the daemon and validates it.
func Parse(args []string) (*Settings, error) {
	s, _, err := DaemonCommandLine().Parse(args)
	if err != nil || s.Help || s.Version {
		return s, err
	}
	return s, s.validate()
}

// flagKinds returns the kinds of the flags of app by name, without --help and
// without the hidden flags that kingpin adds for its completion scripts.
func flagKinds(app *kingpin.Application) map[string]flagKind {
	kinds := make(map[string]flagKind)
	for _, f := range app.Model().Flags {
		switch {
		case f.Hidden, "--"+f.Name == HelpFlag:
		case f.IsBoolFlag():
			kinds[f.Name] = isSwitch
		case f.Name == "web.listen-address":
			kinds[f.Name] = repeats
		default:
			kinds[f.Name] = takesValue
		}
	}
	return kinds
}

// splitArgs separates flags, with their values, from the other arguments. An argument true or
// false after a switch is an error: Go's flag package takes no value there.
func splitArgs(args []string, kinds map[string]flagKind) (flags, rest []string, err error) {
	var prev flagArg // the switch before args, if there is one
	for len(args) > 0 {
		used, arg := 1, flagArg{}
		switch {
		case args[0] == "--":
		case prev.name != "" && (args[0] == "true" || args[0] == "false"):
			return nil, nil, unexpectedArg(args[0], prev, kinds)
		case !isFlag(args[0]):
			rest = append(rest, args[0])
		case isHelp(args[0]):
			return []string{HelpFlag}, nil, nil
		default:
			if arg, used, err = readFlag(args, kinds); err != nil {
				return nil, nil, err
			}
			flags = append(flags, args[:used]...)
		}
		if prev = arg; kinds[arg.name] != isSwitch || strings.Contains(args[0], "=") {
			prev = flagArg{}
		}
		args = args[used:]
	}
	return flags, rest, nil
}

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"
)

// settings is what the command line says.
type settings struct {
	configPath  string
	procNames   string
	nameMapping string
	procfs      string
	source      string

	children     bool
	threads      bool
	smaps        bool
	smapsBudget  time.Duration
	smapsMaxRSS  units.Base2Bytes
	recheck      bool
	recheckLimit time.Duration // 0 is no limit
	removeEmpty  bool

	maxGroups, maxThreadNames int // 0 is no limit

	web           *web.FlagConfig
	telemetryPath string
	maxRequests   int    // 0 is no limit
	pprofAddress  string // "" serves no profiles

	maxConnections int
	noOwnMetrics   bool
	lifecycle      bool
	onceDelay      time.Duration // 0 serves; otherwise the pause between two scrapes
	sandbox        string
	debug          bool
	log            promslog.Config
	check, man     bool
	healthCheck    bool
	version, help  bool
}

// newApp returns the command line's grammar, filling s when it parses. Flags
// keep the names, meanings and defaults that existing unit files rely on.
func newApp(s *settings) *kingpin.Application {
	app := kingpin.New(program, "Prometheus exporter of what groups of processes use.\n\nBeside serving it has commands, each with a --help of its own: check FILE, explain PID|NAME..., groups, inspect PID|NAME...")
	addRuleFlags(app, s)
	addReadFlags(app, s)
	addWebFlags(app, s)
	addRunFlags(app, s)
	app.HelpFlag.Short('h').Help("Print all flags with their meanings and exit.")
	return app
}

func addRuleFlags(app *kingpin.Application, s *settings) {
	app.Flag("config.path", "YAML file with the rules that put processes into groups. Without any rules, every process with a command line is in the group of its name.").
		PlaceHolder("FILE").StringVar(&s.configPath)
	app.Flag("procnames", "Comma-separated process names to watch, instead of a file.").
		PlaceHolder("NAME,...").StringVar(&s.procNames)
	app.Flag("namemapping", "Comma-separated pairs of a process name and a regular expression whose first group, found in the command line, is appended to the name.").
		PlaceHolder("NAME,REGEX,...").StringVar(&s.nameMapping)
	app.Flag("children", "Put a process that no rule matches into the group of its nearest ancestor that has one.").
		Default("true").BoolVar(&s.children)
	app.Flag("recheck", "Try the rules again at every scrape on processes that none has matched. No longer needed: what a process has changed is noticed without.").
		BoolVar(&s.recheck)
	app.Flag("recheck-with-time-limit", "Like --recheck, but only until a process is this old, and never again later.").
		Default("0s").DurationVar(&s.recheckLimit)
	app.Flag("remove-empty-groups", "Forget a group and its counters when its last process is gone.").
		BoolVar(&s.removeEmpty)
	app.Flag("max-groups", "How many groups processes may make by their names. What is beyond is added up in the group _other. 0 is no limit.").
		Default("2000").IntVar(&s.maxGroups)
	app.Flag("max-thread-names", "How many names threads may have in all groups together. What is beyond is added up under the name _other. 0 is no limit.").
		Default("20000").IntVar(&s.maxThreadNames)
	app.Flag("config.check", "Check the file of --config.path and that of --web.config.file, print what is wrong, and exit.").
		BoolVar(&s.check)
}

func addReadFlags(app *kingpin.Application, s *settings) {
	app.Flag("procfs", "Where the process file system is mounted.").
		Default("/proc").StringVar(&s.procfs)
	app.Flag("source", "How to read processes: procfs is /proc, bpf is programs inside the kernel, which cost a fraction and see every process that ends, auto is bpf where it can be.").
		Default("auto").EnumVar(&s.source, "auto", "bpf", "procfs")
	app.Flag("threads", "Export metrics of each thread name within a group.").
		Default("true").BoolVar(&s.threads)
	app.Flag("gather-smaps", "Export proportional memory, which the kernel has to add up for each process.").
		Default("true").BoolVar(&s.smaps)
	app.Flag("smaps.budget", "CPU time that a scrape may spend on reading proportional memory again; the processes take turns. 0 turns it off, like -gather-smaps=false.").
		Default("50ms").DurationVar(&s.smapsBudget)
	app.Flag("smaps.max-rss", "Resident memory above which a process is left out of proportional memory, for its reading would stall the process. 0 is no limit.").
		Default("8GiB").BytesVar(&s.smapsMaxRSS)
}

func addWebFlags(app *kingpin.Application, s *settings) {
	s.web = kingpinflag.AddFlags(app, ":9256")
	app.Flag("web.telemetry-path", "Path that serves the metrics.").
		Default("/metrics").StringVar(&s.telemetryPath)
	app.Flag("web.disable-exporter-metrics", "Leave out the metrics of the exporter's own process (go_*, process_*, promhttp_*).").
		BoolVar(&s.noOwnMetrics)
	app.Flag("web.max-requests", "Scrapes that wait for their answer at the same time; more are answered with 503. 0 is no limit.").
		Default("128").IntVar(&s.maxRequests)
	app.Flag("web.max-connections", "Clients connected at the same time. Beyond that the connection goes that has been idle for the longest.").
		Default("128").IntVar(&s.maxConnections)
	app.Flag("web.pprof-address", "Loopback address, such as 127.0.0.1:6060, that serves profiles of the exporter itself below /debug/pprof/, to whoever can connect. Off unless given.").
		PlaceHolder("ADDRESS").StringVar(&s.pprofAddress)
	app.Flag("web.enable-lifecycle", "Let POST /-/reload read the configuration again, as SIGHUP does.").
		BoolVar(&s.lifecycle)
}

func addRunFlags(app *kingpin.Application, s *settings) {
	app.Flag("once-to-stdout-delay", "Do not serve: scrape, wait this long, scrape again, print the metrics and exit.").
		Default("0s").DurationVar(&s.onceDelay)
	app.Flag("sandbox", "What to give up once everything is open. auto keeps the capabilities that the enabled metrics take, strict keeps none but CAP_PERFMON and leaves out what takes more, off gives up nothing.").
		Default("auto").EnumVar(&s.sandbox, "auto", "strict", "off")
	promslogflag.AddFlags(app, &s.log)
	app.Flag("debug", "The same as --log.level=debug.").BoolVar(&s.debug)
	app.Flag("health-check", "Ask the exporter that runs with the same flags whether it is healthy, print the answer, and exit. For images without a shell.").
		BoolVar(&s.healthCheck)
	app.Flag("man", "Print a short manual and exit.").BoolVar(&s.man)
	app.Flag("version", "Print the version and exit.").BoolVar(&s.version)
}

// parseFlags turns a command line into settings. It accepts what the flag
// package of Go's library accepts and what kingpin accepts.
func parseFlags(args []string) (*settings, error) {
	s := new(settings)
	app := newApp(s)
	args, err := canonical(args, kindsOf(app))
	if err != nil {
		return nil, err
	}
	if n := len(args); n > 0 && args[n-1] == helpFlag {
		s.help = true
		return s, nil
	}
	// Kingpin sets no default at all when it meets a flag of this name.
	if slices.Contains(args, "--version") {
		s.version = true
		return s, nil
	}
	args = slices.DeleteFunc(args, func(arg string) bool { return arg == "--no-version" })
	if _, err := app.Parse(args); err != nil {
		return nil, nameFlag(args, err, func() *kingpin.Application { return newApp(new(settings)) })
	}
	return s, s.validate()
}

// kindsOf returns the flags of app by name, but for help, which [canonical]
// knows by itself. The hidden ones that kingpin adds
// for its own completion scripts are no part of our command line.
func kindsOf(app *kingpin.Application) map[string]flagKind {
	kinds := make(map[string]flagKind)
	for _, f := range app.Model().Flags {
		switch {
		case f.Hidden, "--"+f.Name == helpFlag:
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

// nameFlag returns an error that names the flag whose value is bad, which
// kingpin's own does not. It finds it by parsing each alone.
func nameFlag(args []string, err error, newApp func() *kingpin.Application) error {
	for _, arg := range args {
		if _, cause := newApp().Parse([]string{arg}); cause != nil {
			name, value, _ := strings.Cut(arg, "=")
			return fmt.Errorf("invalid value %q for %s: %w; %s lists what is allowed", value, name, cause, helpFlag)
		}
	}
	return err
}

// validate reports settings that cannot be meant together.
func (s *settings) validate() error {
	if err := s.exclusive(); err != nil {
		return err
	}
	switch p := s.telemetryPath; {
	case !strings.HasPrefix(p, "/"):
		return fmt.Errorf("invalid value %q for --web.telemetry-path: write a path that starts with a slash, such as /metrics", p)
	case slices.Contains(ownPaths, p):
		return fmt.Errorf("invalid value %q for --web.telemetry-path: the exporter serves something else there, choose another path", p)
	}
	if s.pprofAddress != "" && !isLoopback(s.pprofAddress) {
		return fmt.Errorf("invalid value %q for --web.pprof-address: profiles show what is in memory, serve them on a loopback address such as 127.0.0.1:6060", s.pprofAddress)
	}
	if s.maxConnections < 1 {
		return fmt.Errorf("invalid value %d for --web.max-connections: at least one client must be able to connect", s.maxConnections)
	}
	if s.onceDelay < 0 {
		return fmt.Errorf("invalid value %q for --once-to-stdout-delay: a pause cannot be negative", s.onceDelay)
	}
	return nil
}

// exclusive reports what cannot be meant together about rules and reading.
func (s *settings) exclusive() error {
	switch {
	case s.configPath != "" && (s.procNames != "" || s.nameMapping != ""):
		return errors.New("-config.path cannot be used with -namemapping or -procnames")
	case s.smapsBudget < 0 || s.smapsMaxRSS < 0:
		return errors.New("--smaps.budget and --smaps.max-rss cannot be negative")
	case s.maxGroups < 0 || s.maxThreadNames < 0:
		return errors.New("--max-groups and --max-thread-names cannot be negative; 0 is no limit")
	}
	if s.smapsBudget == 0 {
		s.smaps = false
	}
	return nil
}

// newLogger returns the logger that the settings ask for. No level of it ever
// shows the command line of a process, which may hold passwords.
func newLogger(s *settings, w io.Writer) *slog.Logger {
	config := s.log
	config.Writer = w
	logger := promslog.New(&config)
	if s.debug {
		// The names of levels that promslog accepts include this one.
		_ = config.Level.Set("debug")
	}
	return slog.New(limitedHandler{logger.Handler(), newLogLimits(time.Now)})
}

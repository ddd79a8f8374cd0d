package config

import (
	"strconv"

	"github.com/alecthomas/kingpin/v2"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/seed57308aee/process_exporter/grouping"
)

// A FlagSection is a section of the help text: the flags about one subject.
type FlagSection struct {
	Title string
	Add   func(*kingpin.Application, *Settings)
}

// GroupingFlags returns the flags that select rules and data sources. All commands
// that group processes accept them.
func GroupingFlags() []FlagSection {
	return []FlagSection{
		{"Rules", addRuleFlags},
		{"Data source", addSourceFlags},
		{"Memory", addMemoryFlags},
		{"Collectors", addCollectorFlags},
	}
}

// DaemonCommandLine returns the command line without a command, which runs the daemon.
// Names, meanings and defaults of the predecessor's flags are unchanged.
func DaemonCommandLine() CommandLine {
	return CommandLine{
		Help: "Export the resource use of groups of processes to Prometheus.",
		Sections: append(GroupingFlags(),
			FlagSection{"Web", addWebFlags},
			FlagSection{"Logging", addLogFlags},
			FlagSection{"Sandbox", addSandboxFlags},
			FlagSection{"One-shot (print or check, then exit)", addOneShotFlags},
		),
	}
}

func addRuleFlags(app *kingpin.Application, s *Settings) {
	app.Flag("config.path", "YAML file with grouping rules. Without it, one group per program name.").
		PlaceHolder("FILE").StringVar(&s.ConfigPath)
	app.Flag("procnames", "One group per process name in this list. Cannot be used with --config.path.").
		PlaceHolder("NAME,...").StringVar(&s.ProcNames)
	app.Flag("namemapping", "Pairs of process name and regexp of the command line. Group: NAME:CAPTURE.").
		PlaceHolder("NAME,REGEX,...").StringVar(&s.NameMapping)
	app.Flag("children", "Put unmatched processes into the group of the nearest ancestor with a group.").
		Default("true").BoolVar(&s.Children)
	app.Flag("recheck", "Not needed: exec, renames and rewritten command lines are detected without it.").
		BoolVar(&s.Recheck)
	app.Flag("recheck-with-time-limit", "Do not use: processes in no group are not matched again after this age. 0s: off.").
		PlaceHolder("DURATION").Default("0s").DurationVar(&s.RecheckLimit)
	app.Flag("remove-empty-groups", "Remove empty groups. Counters restart at 0 if a group returns.").
		BoolVar(&s.RemoveEmptyGroups)
	app.Flag("match-budget", "CPU time per scrape to match rules; next scrapes do the rest. 0s: no limit.").
		PlaceHolder("DURATION").Default("200ms").DurationVar(&s.MatchBudget)
	app.Flag("max-groups", "Maximum number of groups. Further groups are counted as _other. 0: no limit.").
		PlaceHolder("N").Default(strconv.Itoa(grouping.DefaultMaxGroups)).IntVar(&s.MaxGroups)
	app.Flag("max-thread-names", "Maximum number of thread names; others count as _other. 0: no limit.").
		PlaceHolder("N").Default(strconv.Itoa(grouping.DefaultMaxThreadNames)).IntVar(&s.MaxThreadNames)
}

func addSourceFlags(app *kingpin.Application, s *Settings) {
	app.Flag("procfs", "Mount point of the proc file system.").
		PlaceHolder("DIR").Default("/proc").StringVar(&s.ProcFS)
	app.Flag("source", "Data source: bpf (cheaper, counts exits), procfs, or auto (bpf if possible).").
		PlaceHolder("auto|bpf|procfs").Default("auto").EnumVar(&s.Source, "auto", "bpf", "procfs")
	addAlias(app, s, "threads", "Export metrics per thread name. Same as --collector.threads.")
}

func addMemoryFlags(app *kingpin.Application, s *Settings) {
	addAlias(app, s, "gather-smaps", "Export PSS and USS from smaps_rollup. Same as --collector.smaps.")
	app.Flag("smaps.budget", "CPU time per scrape to read PSS and USS. 0: off, even if rules enable them.").
		PlaceHolder("DURATION").Default("50ms").DurationVar(&s.SmapsBudget)
	app.Flag("smaps.max-rss", "Do not read PSS and USS of processes with more RSS than this. 0: no limit.").
		PlaceHolder("BYTES").Default("8GiB").BytesVar(&s.SmapsMaxRSS)
}

func addWebFlags(app *kingpin.Application, s *Settings) {
	s.Web = kingpinflag.AddFlags(app, ":9256")
	setHelp(app, "web.listen-address", "ADDRESS", "Listen address; repeatable. Examples: :9256, [::1]:9256, vsock://:9256.")
	setHelp(app, "web.config.file", "FILE", "File with TLS and authentication settings, in exporter-toolkit format.")
	setHelp(app, "web.systemd-socket", "", "Use systemd sockets instead of listen addresses (Linux only).")
	app.Flag("web.telemetry-path", "Path of the metrics.").
		PlaceHolder("PATH").Default("/metrics").StringVar(&s.TelemetryPath)
	app.Flag("web.disable-exporter-metrics", "Omit metrics of the Go runtime, of the exporter's own process and of promhttp.").
		BoolVar(&s.DisableExporterMetrics)
	app.Flag("web.max-requests", "Maximum number of concurrent scrapes; others get status 503. 0: no limit.").
		PlaceHolder("N").Default("128").IntVar(&s.MaxRequests)
	app.Flag("web.max-connections", "Maximum number of connections. At the limit, the longest idle one is closed.").
		PlaceHolder("N").Default("128").IntVar(&s.MaxConnections)
	app.Flag("web.allowed-hosts", "Names to allow in the Host header besides localhost and IPs; * for all.").
		PlaceHolder("NAME,...").StringVar(&s.AllowedHosts)
	app.Flag("web.show-processes", "Show processes and command lines on the web page. auto: loopback listeners only.").
		PlaceHolder("auto|on|off").Default("auto").EnumVar(&s.ShowProcesses, "auto", "on", "off")
	app.Flag("web.retention", "Keep history this long (at most 1h). 0s: keep 15m, only while a page is open.").
		PlaceHolder("DURATION").Default("0s").DurationVar(&s.Retention)
	app.Flag("web.pprof-address", "Loopback address for Go profiles under /debug/pprof/. Off by default.").
		PlaceHolder("ADDRESS").StringVar(&s.PprofAddress)
	app.Flag("web.enable-lifecycle", "Enable POST /-/reload, which reloads the configuration like SIGHUP.").
		BoolVar(&s.EnableLifecycle)
}

func addLogFlags(app *kingpin.Application, s *Settings) {
	promslogflag.AddFlags(app, &s.Log)
	setHelp(app, "log.level", "LEVEL", "Lowest level of log lines: debug, info, warn or error.")
	setHelp(app, "log.format", "FORMAT", "Format of log lines: logfmt or json.")
	app.Flag("debug", "Same as --log.level=debug.").BoolVar(&s.Debug)
}

func addSandboxFlags(app *kingpin.Application, s *Settings) {
	app.Flag("sandbox", "auto: drop unneeded privileges. strict: drop more, export less. off: no sandbox.").
		PlaceHolder("auto|strict|off").Default("auto").EnumVar(&s.Sandbox, "auto", "strict", "off")
}

func addOneShotFlags(app *kingpin.Application, s *Settings) {
	app.Flag("config.check", "Check the files of --config.path and --web.config.file.").
		BoolVar(&s.ConfigCheck)
	app.Flag("health-check", "Exit 0 if the exporter with the same flags responds. For containers.").
		BoolVar(&s.HealthCheck)
	app.Flag("once-to-stdout-delay", "Print metrics to stdout: scrape, wait this time, scrape again, print. 0s: off.").
		PlaceHolder("DURATION").Default("0s").DurationVar(&s.OnceDelay)
	app.Flag("man", "Print a short manual.").BoolVar(&s.Manual)
	app.Flag("version", "Print the version.").BoolVar(&s.Version)
}

// setHelp replaces the placeholder and the help of a flag that a library defines.
func setHelp(app *kingpin.Application, flag, placeholder, help string) {
	app.GetFlag(flag).PlaceHolder(placeholder).Help(help)
}

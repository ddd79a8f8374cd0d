package config

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/grouping"
)

var normalizeTests = []struct {
	name, args string // separated by spaces
	want       string
	wantErr    string
}{
	{name: "nothing"},
	{name: "one dash, equals", args: "-config.path=f", want: "--config.path=f"},
	{name: "one dash, space", args: "-config.path f", want: "--config.path=f"},
	{name: "two dashes, equals", args: "--config.path=f", want: "--config.path=f"},
	{name: "two dashes, space", args: "--config.path f", want: "--config.path=f"},
	{name: "equals in the value", args: "-namemapping=java,-D=x", want: "--namemapping=java,-D=x"},
	{name: "value that looks like a flag", args: "-namemapping -jar,(x)", want: "--namemapping=-jar,(x)"},
	{name: "empty value", args: "-web.config.file=", want: "--web.config.file="},
	{name: "switch", args: "-recheck", want: "--recheck"},
	{name: "switch, two dashes", args: "--recheck", want: "--recheck"},
	{name: "switch on", args: "-recheck=1 -debug=T -children=TRUE", want: "--recheck --debug --children"},
	{name: "switch off", args: "-threads=false --children=0 -gather-smaps=F", want: "--no-threads --no-children --no-gather-smaps"},
	{name: "switch off, kingpin", args: "--no-threads -no-children", want: "--no-threads --no-children"},
	{name: "last flag wins", args: "-procfs=/a -threads=false -procfs /b -threads", want: "--procfs=/b --threads"},
	{name: "last flag wins, both spellings", args: "--no-threads -threads=true", want: "--threads"},
	{
		name: "listen addresses accumulate", args: "-web.listen-address :1 --web.listen-address=:2",
		want: "--web.listen-address=:1 --web.listen-address=:2",
	},
	{name: "end of flags", args: "-debug --", want: "--debug"},
	{name: "help", args: "-h", want: "--help"},
	{name: "help among others", args: "-debug -help -zzz", want: "--help"},
	{name: "version", args: "-version", want: "--version"},

	{
		name: "switch with a value in the next argument", args: "-threads false -procnames app",
		wantErr: `unexpected argument "false" after -threads: use -threads=false`,
	},
	{name: "argument first", args: "x -debug", wantErr: `unexpected argument "x"`},
	{name: "argument after a value", args: "-procfs /p x", wantErr: `unexpected argument "x" after -procfs`},
	{name: "argument after the end of flags", args: "-- x", wantErr: `unexpected argument "--"`},
	{name: "a dash alone", args: "-debug -", wantErr: `unexpected argument "-"`},
	{name: "not a boolean", args: "-threads=no", wantErr: `invalid value "no" for -threads: use -threads=true or -threads=false`},
	{name: "empty boolean", args: "-threads=", wantErr: `invalid value "" for -threads`},
	{name: "negated with a value", args: "--no-threads=false", wantErr: "--no-threads takes no value"},
	{name: "negated, no switch", args: "--no-procfs", wantErr: "unknown flag --no-procfs"},
	{name: "no value", args: "-debug -config.path", wantErr: "flag -config.path needs a value"},
	{name: "misspelled", args: "-web.listn-address=:1", wantErr: "did you mean -web.listen-address?"},
	{name: "of another exporter", args: "--config.file=f", wantErr: "did you mean --config.path?"},
	{name: "of an old version", args: "-once-to-stdout", wantErr: "did you mean -once-to-stdout-delay?"},
	{name: "short form", args: "-smaps=false", wantErr: "did you mean -collector.smaps?"},
	{name: "no similar flag", args: "-xyzzy", wantErr: "unknown flag -xyzzy: --help lists all flags"},
	{name: "hidden flag of kingpin", args: "--completion-bash", wantErr: "unknown flag --completion-bash"},
}

func TestNormalize(t *testing.T) {
	kinds := flagKinds(DaemonCommandLine().newApp(new(Settings)))
	for _, tt := range normalizeTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := normalize(strings.Fields(tt.args), kinds)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("got %q and error %v, want an error with %q", got, err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Fields(tt.want); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// FuzzNormalize checks that kingpin knows every flag that normalize returns, and
// that normalize returns nothing but flags.
func FuzzNormalize(f *testing.F) {
	f.Add("-threads=false -config.path f --no-children")
	f.Add("--web.listen-address=:1 -h - -- =")
	f.Fuzz(func(t *testing.T, line string) {
		app := DaemonCommandLine().newApp(new(Settings))
		args, err := normalize(strings.Split(line, " "), flagKinds(app))
		if err != nil {
			return
		}
		for _, arg := range args {
			name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
			if app.GetFlag(name) == nil && app.GetFlag(strings.TrimPrefix(name, "no-")) == nil {
				t.Errorf("got %q from %q, want only known flags", arg, line)
			}
		}
	})
}

// wantSettings maps the names of testdata/command_lines.json to functions that change
// the defaults to the expected settings.
var wantSettings = map[string]func(*Settings){
	"nothing":               func(*Settings) {},
	"deb and rpm":           func(s *Settings) { s.ConfigPath = "/etc/process-exporter/all.yaml" },
	"Debian":                func(s *Settings) { s.ConfigPath = "/etc/process-exporter/all.yaml" },
	"Debian without a file": func(s *Settings) { s.ProcNames, s.Children = "bash,sshd", false },
	"Helm":                  func(s *Settings) { s.ConfigPath, s.ProcFS = "/etc/process-exporter/all.yaml", "/host/proc" },
	"Helm with a port":      func(s *Settings) { s.ConfigPath, s.ProcFS = "/etc/process-exporter/all.yaml", "/host/proc" },
	"Ansible": func(s *Settings) {
		s.ConfigPath = "/etc/process-exporter/all.yaml"
		*s.Web.WebConfigFile = "/etc/process-exporter/web.yml"
		*s.Web.WebListenAddresses = []string{"0.0.0.0:9256"}
	},
	"NixOS": func(s *Settings) {
		s.ConfigPath = "/etc/process-exporter/config.json"
		*s.Web.WebListenAddresses = []string{"0.0.0.0:9256"}
	},
	"container": func(s *Settings) { s.ConfigPath, s.ProcFS = "/etc/process-exporter/all.yaml", "/host/proc" },
	"flags of node_exporter": func(s *Settings) {
		s.DisableExporterMetrics, s.MaxRequests, s.TelemetryPath = true, 5, "/m"
		s.Collectors &^= grouping.CollectorThreads
	},
	"every switch": func(s *Settings) {
		s.Children, s.Collectors = false, defaultCollectors()&^(grouping.CollectorThreads|grouping.CollectorSmaps)
		s.Recheck, s.RemoveEmptyGroups, s.Debug = true, true, true
	},
	"mapping that starts with a name": func(s *Settings) { s.NameMapping = `java,-jar\s+([^/]+).jar` },
	"mapping with equals":             func(s *Settings) { s.NameMapping, s.ProcNames = `java,-Dname=(\S+)`, "java" },
	"mapping with dashes":             func(s *Settings) { s.NameMapping, s.ProcNames = "upstart,(--user)", "upstart:-user" },
	"time limit":                      func(s *Settings) { s.RecheckLimit = 90 * time.Second },
	"two listeners":                   func(s *Settings) { *s.Web.WebListenAddresses = []string{":9256", "0.0.0.0:9256"} },
}

func TestParse(t *testing.T) {
	text, err := os.ReadFile("../../testdata/command_lines.json")
	if err != nil {
		t.Fatal(err)
	}
	var lines []struct {
		Name string
		Args []string
	}
	if err := json.Unmarshal(text, &lines); err != nil {
		t.Fatal(err)
	}
	if len(lines) != len(wantSettings) {
		t.Errorf("got %d command lines, want %d", len(lines), len(wantSettings))
	}
	for _, tt := range lines {
		t.Run(tt.Name, func(t *testing.T) {
			change, ok := wantSettings[tt.Name]
			if !ok {
				t.Fatal("got no expected settings")
			}
			got, err := Parse(tt.Args)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Parse(nil)
			if err != nil {
				t.Fatal(err)
			}
			*want.Web.WebListenAddresses = []string{":9256"}
			change(want)
			compareSettings(t, got, want)
		})
	}
}

// compareSettings compares all settings except Log, which contains pointers.
func compareSettings(t *testing.T, got, want *Settings) {
	t.Helper()
	if g, w := *got.Web.WebConfigFile, *want.Web.WebConfigFile; g != w {
		t.Errorf("got web configuration file %q, want %q", g, w)
	}
	if g, w := *got.Web.WebListenAddresses, *want.Web.WebListenAddresses; !slices.Equal(g, w) {
		t.Errorf("got listen addresses %q, want %q", g, w)
	}
	g, w := *got, *want
	g.Web, w.Web = nil, nil
	g.Log, w.Log = want.Log, want.Log
	if g != w {
		t.Errorf("got %+v, want %+v", g, w)
	}
}

func TestDefaults(t *testing.T) {
	s, err := Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case !s.Children, s.Collectors != defaultCollectors(), s.Recheck, s.RemoveEmptyGroups, s.Debug, s.DisableExporterMetrics:
		t.Errorf("got switches %+v, want the defaults", s)
	case s.ProcFS != "/proc", s.TelemetryPath != "/metrics", s.MaxRequests != 128, s.MaxConnections != 128, s.PprofAddress != "",
		s.RecheckLimit != 0, s.OnceDelay != 0, s.AllowedHostNames() != nil:
		t.Errorf("got values %+v, want the defaults", s)
	case s.Log.Level.String() != "info", s.Log.Format.String() != "logfmt":
		t.Errorf("got log level %q and format %q, want info and logfmt", s.Log.Level, s.Log.Format)
	}
}

func TestParseInvalid(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"rule file and names", []string{"-config.path", "f", "-procnames", "x"}, "-config.path cannot be used with -namemapping"},
		{"rule file and mapping", []string{"-config.path", "f", "-namemapping", "x,y"}, "cannot be used with -namemapping or -procnames"},
		{"duration", []string{"-recheck-with-time-limit=5"}, `invalid value "5" for --recheck-with-time-limit`},
		{"duration without unit", []string{"-web.retention", "5"}, `invalid value "5" for --web.retention: did you mean 5s?`},
		{"short duration without unit", []string{"-match-budget=100"}, `invalid value "100" for --match-budget: did you mean 100ms?`},
		{"size without B", []string{"-smaps.max-rss=8G"}, `invalid value "8G" for --smaps.max-rss: did you mean 8GiB?`},
		{"size without unit", []string{"-smaps.max-rss=4096"}, `invalid value "4096" for --smaps.max-rss: did you mean 4096B?`},
		{"number", []string{"-web.max-requests=many"}, `invalid value "many" for --web.max-requests`},
		{"level", []string{"-threads=false", "-log.level=loud"}, `invalid value "loud" for --log.level`},
		{"format", []string{"-log.format=xml"}, `invalid value "xml" for --log.format`},
		{"relative path", []string{"-web.telemetry-path=metrics"}, "starts with a slash"},
		{"no connections", []string{"-web.max-connections=0"}, "--web.max-connections"},
		{"host with port", []string{"-web.allowed-hosts=a,b:80"}, "host names without port"},
		{"empty host", []string{"-web.allowed-hosts=a,"}, "host names without port"},
		{"host pattern", []string{"-web.allowed-hosts=*.example"}, "host names without port"},
		{"profiles on all addresses", []string{"-web.pprof-address=0.0.0.0:1"}, "loopback"},
		{"history too long", []string{"--web.retention=2h"}, "--web.retention"},
		{"negative history", []string{"--web.retention=-1s"}, "--web.retention"},
		{"unknown choice", []string{"--web.show-processes=yes"}, "must be one of"},
		{"negative delay", []string{"-once-to-stdout-delay=-1s"}, "use a positive duration"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse(tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCanonical(t *testing.T) {
	kinds := kindsOf(newApp(new(settings)))
	tests := []struct {
		name, args string // separated by blanks
		want       string
		wantErr    string
	}{
		{name: "nothing"},
		{name: "one dash, equals", args: "-config.path=f", want: "--config.path=f"},
		{name: "one dash, blank", args: "-config.path f", want: "--config.path=f"},
		{name: "two dashes, equals", args: "--config.path=f", want: "--config.path=f"},
		{name: "two dashes, blank", args: "--config.path f", want: "--config.path=f"},
		{name: "equals in the value", args: "-namemapping=java,-D=x", want: "--namemapping=java,-D=x"},
		{name: "value that looks like a flag", args: "-namemapping -jar,(x)", want: "--namemapping=-jar,(x)"},
		{name: "empty value", args: "-web.config.file=", want: "--web.config.file="},
		{name: "switch", args: "-recheck", want: "--recheck"},
		{name: "switch, two dashes", args: "--recheck", want: "--recheck"},
		{name: "switch on", args: "-recheck=1 -debug=T -children=TRUE", want: "--recheck --debug --children"},
		{name: "switch off", args: "-threads=false --children=0 -gather-smaps=F", want: "--no-threads --no-children --no-gather-smaps"},
		{name: "switch off, kingpin", args: "--no-threads -no-children", want: "--no-threads --no-children"},
		{name: "the last counts", args: "-procfs=/a -threads=false -procfs /b -threads", want: "--procfs=/b --threads"},
		{name: "the last counts, both spellings", args: "--no-threads -threads=true", want: "--threads"},
		{name: "listeners add up", args: "-web.listen-address :1 --web.listen-address=:2", want: "--web.listen-address=:1 --web.listen-address=:2"},
		{name: "end of flags", args: "-debug --", want: "--debug"},
		{name: "help", args: "-h", want: "--help"},
		{name: "help among others", args: "-debug -help -zzz", want: "--help"},
		{name: "version", args: "-version", want: "--version"},

		{name: "trap 33", args: "-threads false -procnames app", wantErr: `unexpected argument "false" after -threads: write -threads=false`},
		{name: "argument first", args: "x -debug", wantErr: `unexpected argument "x"`},
		{name: "argument after a value", args: "-procfs /p x", wantErr: `unexpected argument "x" after -procfs`},
		{name: "argument after the end of flags", args: "-- x", wantErr: `unexpected argument "--"`},
		{name: "a dash alone", args: "-debug -", wantErr: `unexpected argument "-"`},
		{name: "not a truth value", args: "-threads=no", wantErr: `invalid value "no" for -threads: write -threads=true or -threads=false`},
		{name: "empty truth value", args: "-threads=", wantErr: `invalid value "" for -threads`},
		{name: "negated with a value", args: "--no-threads=false", wantErr: "--no-threads takes no value"},
		{name: "negated, no switch", args: "--no-procfs", wantErr: "unknown flag --no-procfs"},
		{name: "no value", args: "-debug -config.path", wantErr: "flag -config.path needs a value"},
		{name: "misspelt", args: "-web.listen-adress=:1", wantErr: "did you mean -web.listen-address?"},
		{name: "of another exporter", args: "--config.file=f", wantErr: "did you mean --config.path?"},
		{name: "of an old version", args: "-once-to-stdout", wantErr: "did you mean -once-to-stdout-delay?"},
		{name: "short form", args: "-smaps=false", wantErr: "did you mean -gather-smaps?"},
		{name: "nothing near", args: "-xyzzy", wantErr: "unknown flag -xyzzy: --help lists all flags"},
		{name: "of kingpin", args: "--completion-bash", wantErr: "unknown flag --completion-bash"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := canonical(strings.Fields(tt.args), kinds)
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

// FuzzCanonical asserts that kingpin knows every flag that canonical lets
// through, and that nothing it returns is an argument.
func FuzzCanonical(f *testing.F) {
	f.Add("-threads=false -config.path f --no-children")
	f.Add("--web.listen-address=:1 -h - -- =")
	f.Fuzz(func(t *testing.T, line string) {
		app := newApp(new(settings))
		args, err := canonical(strings.Split(line, " "), kindsOf(app))
		if err != nil {
			return
		}
		for _, arg := range args {
			name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
			if app.GetFlag(name) == nil && app.GetFlag(strings.TrimPrefix(name, "no-")) == nil {
				t.Errorf("got %q of %q", arg, line)
			}
		}
	})
}

// want is what a command line has to come to, as a change of the defaults.
type want func(*settings)

// invocations are the command lines with which this exporter, or the one it
// succeeds, is started out there. An end-to-end test starts each for real.
var invocations = []struct {
	name string
	args []string
	want want
}{
	{"nothing", nil, func(*settings) {}},
	{"deb and rpm", []string{"--config.path", "/etc/process-exporter/all.yaml", "--web.listen-address=:9256"},
		func(s *settings) { s.configPath = "/etc/process-exporter/all.yaml" }},
	{"Debian", []string{"-config.path", "/etc/process-exporter/all.yaml"},
		func(s *settings) { s.configPath = "/etc/process-exporter/all.yaml" }},
	{"Debian without a file", []string{"-procnames", "bash,sshd", "-children=false"},
		func(s *settings) { s.procNames, s.children = "bash,sshd", false }},
	{"Helm", []string{"-config.path=/etc/process-exporter/all.yaml", "-procfs=/host/proc"},
		func(s *settings) { s.configPath, s.procfs = "/etc/process-exporter/all.yaml", "/host/proc" }},
	{"Helm with a port", []string{"-web.listen-address=:9256", "-procfs=/host/proc", "-config.path=/etc/process-exporter/all.yaml"},
		func(s *settings) { s.configPath, s.procfs = "/etc/process-exporter/all.yaml", "/host/proc" }},
	{"Ansible", []string{"--config.path=/etc/process-exporter/all.yaml", "--web.listen-address=0.0.0.0:9256", "--web.config.file=/etc/process-exporter/web.yml"},
		func(s *settings) {
			s.configPath = "/etc/process-exporter/all.yaml"
			*s.web.WebConfigFile = "/etc/process-exporter/web.yml"
			*s.web.WebListenAddresses = []string{"0.0.0.0:9256"}
		}},
	{"NixOS", []string{"--web.listen-address", "0.0.0.0:9256", "--config.path", "/etc/process-exporter/config.json"},
		func(s *settings) {
			s.configPath = "/etc/process-exporter/config.json"
			*s.web.WebListenAddresses = []string{"0.0.0.0:9256"}
		}},
	{"container", []string{"--procfs", "/host/proc", "-config.path", "/etc/process-exporter/all.yaml"},
		func(s *settings) { s.configPath, s.procfs = "/etc/process-exporter/all.yaml", "/host/proc" }},
	{"node_exporter's habits", []string{"--no-threads", "--log.level=warn", "--web.disable-exporter-metrics", "--web.max-requests=5", "--web.telemetry-path=/m"},
		func(s *settings) {
			s.threads, s.noOwnMetrics, s.maxRequests, s.telemetryPath = false, true, 5, "/m"
		}},
	{"every switch", []string{"-children=false", "-threads=false", "-gather-smaps=false", "-recheck", "-remove-empty-groups", "-debug"},
		func(s *settings) {
			s.children, s.threads, s.smaps = false, false, false
			s.recheck, s.removeEmpty, s.debug = true, true, true
		}},
	{"trap 34", []string{"-namemapping", `java,-jar\s+([^/]+).jar`},
		func(s *settings) { s.nameMapping = `java,-jar\s+([^/]+).jar` }},
	{"trap 35", []string{"-namemapping", `java,-Dname=(\S+)`, "-procnames", "java"},
		func(s *settings) { s.nameMapping, s.procNames = `java,-Dname=(\S+)`, "java" }},
	{"trap 37", []string{"-namemapping", "upstart,(--user)", "-procnames", "upstart:-user"},
		func(s *settings) { s.nameMapping, s.procNames = "upstart,(--user)", "upstart:-user" }},
	{"time limit", []string{"-recheck-with-time-limit=1m30s"},
		func(s *settings) { s.recheckLimit = 90 * time.Second }},
	{"two listeners", []string{"--web.listen-address=:9256", "--web.listen-address=0.0.0.0:9256"},
		func(s *settings) { *s.web.WebListenAddresses = []string{":9256", "0.0.0.0:9256"} }},
}

func TestParseFlags(t *testing.T) {
	for _, tt := range invocations {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseFlags(tt.args)
			if err != nil {
				t.Fatal(err)
			}
			want, err := parseFlags(nil)
			if err != nil {
				t.Fatal(err)
			}
			*want.web.WebListenAddresses = []string{":9256"}
			tt.want(want)
			compareSettings(t, got, want)
		})
	}
}

// compareSettings compares all but the logger's, which have no useful equality.
func compareSettings(t *testing.T, got, want *settings) {
	t.Helper()
	if g, w := *got.web.WebConfigFile, *want.web.WebConfigFile; g != w {
		t.Errorf("got web configuration %q, want %q", g, w)
	}
	if g, w := *got.web.WebListenAddresses, *want.web.WebListenAddresses; !slices.Equal(g, w) {
		t.Errorf("got listeners %q, want %q", g, w)
	}
	g, w := *got, *want
	g.web, w.web = nil, nil
	g.log, w.log = want.log, want.log
	if g != w {
		t.Errorf("got %+v, want %+v", g, w)
	}
}

func TestDefaults(t *testing.T) {
	s, err := parseFlags(nil)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case !s.children, !s.threads, !s.smaps, s.recheck, s.removeEmpty, s.debug, s.noOwnMetrics:
		t.Errorf("got switches %+v", s)
	case s.procfs != "/proc", s.telemetryPath != "/metrics", s.maxRequests != 128, s.maxConnections != 128, s.pprofAddress != "", s.recheckLimit != 0, s.onceDelay != 0:
		t.Errorf("got values %+v", s)
	case s.log.Level.String() != "info", s.log.Format.String() != "logfmt":
		t.Errorf("got log level %q and format %q", s.log.Level, s.log.Format)
	}
}

func TestParseFlagsRefuses(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"trap 38", []string{"-config.path", "f", "-procnames", "x"}, "-config.path cannot be used with -namemapping or -procnames"},
		{"trap 38, mapping", []string{"-config.path", "f", "-namemapping", "x,y"}, "-config.path cannot be used with -namemapping or -procnames"},
		{"duration", []string{"-recheck-with-time-limit=5"}, `invalid value "5" for --recheck-with-time-limit`},
		{"number", []string{"-web.max-requests=many"}, `invalid value "many" for --web.max-requests`},
		{"level", []string{"-threads=false", "-log.level=loud"}, `invalid value "loud" for --log.level`},
		{"format", []string{"-log.format=xml"}, `invalid value "xml" for --log.format`},
		{"relative path", []string{"-web.telemetry-path=metrics"}, "starts with a slash"},
		{"taken path", []string{"-web.telemetry-path=/-/ready"}, "choose another path"},
		{"no room for anybody", []string{"-web.max-connections=0"}, "--web.max-connections"},
		{"profiles for everybody", []string{"-web.pprof-address=0.0.0.0:1"}, "loopback"},
		{"negative pause", []string{"-once-to-stdout-delay=-1s"}, "cannot be negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseFlags(tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

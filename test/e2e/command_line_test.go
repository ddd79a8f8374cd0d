package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestStartupErrors starts the exporter with invalid arguments. The exporter must exit with one line
// that names the problem and the remedy.
func TestStartupErrors(t *testing.T) {
	requireLinux(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	badConfig := writeFile(t, "bad.yml", "process_names:\n  - comm: {bash}\n")
	badWeb := writeFile(t, "web.yml", "basic_auth_userz: {}\n")
	free := "-web.listen-address=127.0.0.1:0"
	tests := []struct {
		name string
		args []string
		want []string // substrings of the error line
	}{
		{"value of a switch in the next argument", []string{"-threads", "false", "-procnames", "app"},
			[]string{`unexpected argument "false"`, "-threads=false"}},
		{"file and names", []string{"-config.path", "f", "-procnames", "x"},
			[]string{"-config.path cannot be used with -namemapping or -procnames"}},
		{"unknown flag", []string{"-treads=false"}, []string{"-treads", "-threads"}},
		{"no configuration", []string{free, "-config.path=/nonexistent/c.yml"}, []string{"--config.path", "/nonexistent/c.yml"}},
		{"bad configuration", []string{free, "-config.path", badConfig}, []string{"bad.yml:2"}},
		{"bad mapping", []string{free, "-namemapping=java"}, []string{"--namemapping"}},
		{"no procfs", []string{free, "-procfs=/nonexistent"}, []string{"--procfs=/nonexistent"}},
		{"procfs is a file", []string{free, "-procfs", badConfig}, []string{"--procfs", "bad.yml"}},
		{"procfs is none", []string{free, "-procfs", t.TempDir()}, []string{"--procfs"}},
		{"port in use", []string{"-web.listen-address", busy.Addr().String()},
			[]string{busy.Addr().String(), "in use", "--web.listen-address"}},
		{"one of two ports in use", []string{free, "-web.listen-address", busy.Addr().String()}, []string{busy.Addr().String(), "in use"}},
		{"bad address", []string{"-web.listen-address=localhost"}, []string{"localhost", "--web.listen-address"}},
		{"bad port of a virtual machine", []string{"-web.listen-address=vsock://x"}, []string{"vsock://:9256"}},
		{"no web configuration", []string{free, "-web.config.file=/nonexistent/w.yml"}, []string{"--web.config.file=/nonexistent/w.yml"}},
		{"bad web configuration", []string{free, "-web.config.file", badWeb}, []string{"--web.config.file", "basic_auth_userz"}},
		{"no socket", []string{"-web.systemd-socket"}, []string{"--web.systemd-socket", ".socket"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := runToExit(t, tt.args...)
			if status != 1 || stdout != "" {
				t.Errorf("got status %d and stdout %q, want 1 and nothing", status, stdout)
			}
			if strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
				t.Errorf("got stderr %q, want one line", stderr)
			}
			for _, want := range append(tt.want, program+": ") {
				if !strings.Contains(stderr, want) {
					t.Errorf("got %q, want it to contain %q", stderr, want)
				}
			}
		})
	}
}

// TestInformationFlags checks the flags that print information and exit.
func TestInformationFlags(t *testing.T) {
	good := writeFile(t, "good.yml", oneGroup("x"))
	typo := writeFile(t, "typo.yml", "process_name:\n  - name: x\n    cmdline: ['.+']\n")
	bad := writeFile(t, "bad.yml", "process_names:\n  - comm: {bash}\n")
	web := writeFile(t, "web.yml", "nonsense: 1\n")
	tests := []struct {
		name   string
		args   []string
		status int
		want   []string
		lines  int // 0: any number
	}{
		{"-h", []string{"-h"}, 0, []string{"--config.path", "--[no-]threads", "--web.listen-address"}, 0},
		{"--help", []string{"--help"}, 0, []string{"--config.path"}, 0},
		{"-help", []string{"-help"}, 0, []string{"--config.path"}, 0},
		{"-version", []string{"-version"}, 0, []string{program + ", version", "go version:"}, 0},
		{"--version", []string{"--version"}, 0, []string{program + ", version"}, 0},
		{"-version=true", []string{"-version=true"}, 0, []string{program + ", version"}, 0},
		{"-man", []string{"-man"}, 0, []string{"process_names:", "--config.path", "docs/configuration.md"}, 0},
		{"--man", []string{"--man"}, 0, []string{"process_names:"}, 0},
		{"check, valid", []string{"--config.check", "-config.path", good}, 0, []string{"valid"}, 1},
		{"check, default", []string{"-config.check"}, 0, []string{"valid"}, 1},
		{"check, warning", []string{"-config.check", "-config.path", typo}, 1, []string{filepath.Base(typo) + ":1", "process_names"}, 1},
		{"check, invalid", []string{"-config.check", "-config.path", bad}, 1, []string{filepath.Base(bad) + ":2"}, 1},
		{"check, two invalid files", []string{"-config.check", "-config.path", bad, "-web.config.file", web}, 1,
			[]string{"bad.yml:2", "web.yml", "nonsense"}, 2},
		{"check, invalid mapping", []string{"-config.check", "-namemapping=java"}, 1, []string{"--namemapping"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := runToExit(t, tt.args...)
			if status != tt.status || stderr != "" {
				t.Errorf("got status %d and on stderr %q, want status %d", status, stderr, tt.status)
			}
			if n := strings.Count(stdout, "\n"); tt.lines != 0 && n != tt.lines {
				t.Errorf("got %d lines, want %d:\n%s", n, tt.lines, stdout)
			}
			for _, want := range tt.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("got no %q in:\n%s", want, stdout)
				}
			}
		})
	}
}

// commandLines returns the command lines that packages, charts and articles use for
// this exporter and its predecessor.
func commandLines(t *testing.T) (lines []struct {
	Name string
	Args []string
}) {
	t.Helper()
	text, err := os.ReadFile("testdata/command_lines.json")
	if err == nil {
		err = json.Unmarshal(text, &lines)
	}
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestKnownCommandLines starts the exporter with each command line in use. Only paths and ports are
// replaced. Each instance must exit with status 0 on SIGTERM.
func TestKnownCommandLines(t *testing.T) {
	requireLinux(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"all.yaml":    oneGroup("'{{.Comm}}'"),
		"config.json": `{"process_names": [{"name": "{{.Comm}}", "cmdline": [".+"]}]}`,
		"web.yml":     "http_server_config:\n  http2: false\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	here := strings.NewReplacer("/etc/process-exporter", dir, "/host/proc", "/proc", "0.0.0.0:9256", "127.0.0.1:0", ":9256", "127.0.0.1:0")
	for _, tt := range commandLines(t) {
		t.Run(tt.Name, func(t *testing.T) {
			var args []string
			for _, arg := range tt.Args {
				args = append(args, here.Replace(arg))
			}
			if slices.Contains(args, "--log.level=warn") { // the listen address is logged at level info
				args = append(args, "--log.level=info")
			}
			r := startExporter(t, args...)
			path := "/metrics"
			if slices.Contains(args, "--web.telemetry-path=/m") {
				path = "/m"
			}
			if response, body := r.Get(path); response.StatusCode != http.StatusOK || !strings.Contains(body, "process_exporter_build_info{") {
				t.Errorf("got %s: %.300s", response.Status, body)
			}
			if status := r.Stop(); status != 0 {
				t.Errorf("got exit status %d on SIGTERM, want 0", status)
			}
		})
	}
}

func TestOnceToStdout(t *testing.T) {
	requireLinux(t)
	stdout, stderr, status := runToExit(t, "-once-to-stdout-delay", "10ms", "-config.path", writeFile(t, "c.yml", oneGroup("everything")))
	for line := range strings.Lines(stderr) {
		if !strings.Contains(line, "the BPF programs do not report processes") { // PID 1 on some hardened machines
			t.Errorf("got %s on stderr, want nothing", line)
		}
	}
	if status != 0 {
		t.Fatalf("got status %d, want 0", status)
	}
	for _, want := range []string{`namedprocess_namegroup_num_procs{groupname="everything"}`, "go_goroutines", "process_open_fds",
		"promhttp_metric_handler_requests_total"} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(want)).MatchString(stdout) {
			t.Errorf("got no %s", want)
		}
	}
}

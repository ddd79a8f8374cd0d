package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/internal/config"
)

// runMain is the environment variable that makes the test binary run the program.
const runMain = "PROCESS_EXPORTER_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		os.Exit(Run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// TestUsage checks that --help lists all commands in at most 100 lines.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"-help"}, {"help"}, {"help", "help"}, {"--debug", "--help"}} {
		status, out, errs := runArgs(t, args...)
		if status != 0 || errs != "" {
			t.Errorf("%q: got status %d, %q, want 0 and no error", args, status, errs)
		}
		if n := strings.Count(out, "\n"); n > 100 {
			t.Errorf("%q: got %d lines, want at most 100", args, n)
		}
		for _, c := range commands() {
			if !strings.Contains(out, "\n  "+c.Command+" ") {
				t.Errorf("%q: got no line about %s, want one", args, c.Command)
			}
		}
	}
}

// TestCommandHelp checks that all spellings print the same help of a command.
func TestCommandHelp(t *testing.T) {
	for _, c := range commands() {
		_, want, _ := runArgs(t, "help", c.Command)
		if strings.Contains(want, "= ") {
			t.Errorf("help %s: got a flag without a placeholder, want one: %s", c.Command, want)
		}
		if !strings.HasPrefix(want, "usage: process_exporter "+c.Command+" ") || !strings.Contains(want, c.Help) {
			t.Errorf("help %s: got %q, want its usage", c.Command, want)
		}
		for _, args := range [][]string{{c.Command, "--help"}, {c.Command, "-h"}, {c.Command, "x", "-help"}} {
			if status, out, errs := runArgs(t, args...); status != 0 || out != want || errs != "" {
				t.Errorf("%q: got status %d, %q, %q, want %q", args, status, out, errs, want)
			}
		}
	}
}

// TestSuggestions checks the suggestion for a misspelled command or flag.
func TestSuggestions(t *testing.T) {
	tests := []struct{ args, want string }{
		{"chek", `process_exporter: unknown command "chek": did you mean "check"?`},
		{"explian 1", `unknown command "explian": did you mean "explain"?`},
		{"group", `did you mean "groups"?`},
		{"tops", `did you mean "top"?`},
		{"hlep", `did you mean "help"?`},
		{"inspekt 1", `did you mean "inspect"?`},
		{"help chek", `unknown command "chek": did you mean "check"?`},
		{"help check top", `unexpected argument "top": help takes one command`},
		{"nonsense", `unknown command "nonsense": --help lists all commands`},
		{"--web.listn-address=:1", "unknown flag --web.listn-address: did you mean --web.listen-address?"},
		{"groups --sorted=cpu", "process_exporter groups: unknown flag --sorted: did you mean --sort?"},
		{"top --intervall=1s", "unknown flag --intervall: did you mean --interval?"},
		{"explain --jsn 1", "unknown flag --jsn: did you mean --json?"},
		{"check --shema", "unknown flag --shema: did you mean --schema?"},
		{"inspect --attr=pid 1", "unknown flag --attr: did you mean --attrs?"},
		{"check -threads false c.yml", `unexpected argument "false" after -threads: use -threads=false`},
		{"groups --pause=2", `invalid value "2" for --pause: did you mean 2s?`},
		{"groups x", `unexpected argument "x": only flags are allowed here`},
	}
	for _, tt := range tests {
		status, out, errs := runArgs(t, strings.Fields(tt.args)...)
		if status != 1 || out != "" || !strings.Contains(errs, tt.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: got status %d, %q, %q, want one line with %q", tt.args, status, out, errs, tt.want)
		}
	}
}

// TestClosedPipe runs all commands that print with a stdout whose reader has
// exited. They end without an error.
func TestClosedPipe(t *testing.T) {
	requireLinux(t)
	self := strconv.Itoa(os.Getpid())
	tests := []string{
		"--help", "--man", "--version", "--config.check",
		"--once-to-stdout-delay=1ms --source=procfs --max-groups=0", // with a limit, processes of other tests can cause a warning
		"help", "help check",
		"check", "check --help", "check --schema", "check --no-here",
		"explain " + self, "explain --json " + self, "explain --help",
		"groups --pause=0s", "groups --pause=0s --json", "groups --help",
		"inspect " + patient + " " + self, "inspect --json " + patient + " " + self, "inspect --watch=1ms " + self, "inspect --help",
		"top --once --interval=1s --source=procfs", "top --json --interval=1s --source=procfs", "top --help",
	}
	tested := make(map[string]bool)
	for _, args := range tests {
		t.Run(args, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			r.Close()
			command := exec.CommandContext(t.Context(), os.Args[0], strings.Fields(args)...)
			command.Env = append(os.Environ(), runMain+"=1")
			var stderr bytes.Buffer
			command.Stdout, command.Stderr = w, &stderr
			if err := command.Run(); err != nil || stderr.Len() > 0 && !strings.HasPrefix(stderr.String(), "note: ") {
				t.Errorf("got %v, %q, want status 0 and no error", err, stderr.String())
			}
		})
		tested[strings.Fields(args)[0]] = true
	}
	for _, c := range commands() {
		if !tested[c.Command] {
			t.Errorf("got no test of %s, want one", c.Command)
		}
	}
}

// TestConfigCheck checks the messages of --config.check and their exit status.
func TestConfigCheck(t *testing.T) {
	invalid := t.TempDir() + "/rules.yaml"
	if err := os.WriteFile(invalid, []byte("process_names: [{nam: x}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := runArgs(t, "--config.check"); status != 0 || out != validText+"\n" || errs != "" {
		t.Errorf("got status %d, %q, %q, want 0 and %q", status, out, errs, validText)
	}
	for _, flag := range []string{"--config.path=" + invalid, "--web.config.file=/nonexistent"} {
		name, _, _ := strings.Cut(flag, "=")
		status, out, errs := runArgs(t, "--config.check", flag)
		if status != 1 || !strings.Contains(out, name) || errs != "" {
			t.Errorf("%s: got status %d, %q, %q, want 1 and a line about the file", flag, status, out, errs)
		}
	}
}

func TestVersion(t *testing.T) {
	if status, out, _ := runArgs(t, "--version"); status != 0 || !strings.HasPrefix(out, config.Program+", version ") ||
		regexp.MustCompile(`(?m): *$|: [,)]|version +\(|: +unknown$`).MatchString(out) {
		t.Errorf("got status %d, %q, want 0 and the version without empty fields", status, out)
	}
}

// TestGroupsVocabulary checks that the JSON of groups and of top has the same
// fields, except the history of a running exporter.
func TestGroupsVocabulary(t *testing.T) {
	requireLinux(t)
	fields := func(list any) map[string]bool {
		names := make(map[string]bool)
		for _, group := range list.([]any) {
			for name := range group.(map[string]any) {
				names[name] = true
			}
		}
		return names
	}
	var groups, report any
	_, out, _ := runArgs(t, "groups", "--json", "--pause=1s")
	if err := json.Unmarshal([]byte(out), &groups); err != nil {
		t.Fatal(err)
	}
	_, out, _ = runArgs(t, "top", "--json", "--interval=1s", "--source=procfs")
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	got, want := fields(groups), fields(report.(map[string]any)["groups"])
	delete(want, "cpu_ratio_history")
	for name := range want {
		if !got[name] {
			t.Errorf("got no field %s of groups, want the fields of top", name)
		}
	}
	for _, name := range []string{"group", "num_procs", "cpu_ratio", "resident_bytes", "read_bytes_per_second"} {
		if !got[name] || !want[name] {
			t.Errorf("got groups %v, top %v, want %s in both", got, want, name)
		}
	}
}

package e2e

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// An invalidFile is a configuration file that must be rejected.
type invalidFile struct {
	name   string
	create func(path string) error // creates the file
	line   int                     // in the message, 0 if it concerns the whole file
	want   string                  // a substring of the message
}

// invalidText returns a file with invalid contents.
func invalidText(name, text string, line int, want string) invalidFile {
	return invalidFile{name, func(path string) error { return os.WriteFile(path, []byte(text), 0o644) }, line, want}
}

// invalidLink returns a symbolic link to something that is not a regular file.
func invalidLink(to, want string) invalidFile {
	return invalidFile{"a link to " + to, func(path string) error { return os.Symlink(to, path) }, 0, want}
}

const rulePrefix = "process_names:\n- comm: [java]\n  "

// invalidFiles returns all files that must be rejected.
func invalidFiles() []invalidFile {
	return slices.Concat(invalidTexts(), invalidYAML(), unreadableFiles())
}

// invalidTexts returns files with invalid contents.
func invalidTexts() []invalidFile {
	const invalid, megabyte = "not valid YAML", 1 << 20
	return []invalidFile{
		invalidText("no selector", "process_names:\n- {name: all, cmdline: }\n", 2, "give it comm, exe or cmdline"),
		invalidText("empty rule", "process_names:\n-\n", 2, "a rule is empty"),
		invalidText("a rule is a text", "process_names:\n- java\n", 2, "- comm: [java]"),
		invalidText("rules are a text", "process_names: java\n", 1, "begin each rule"),
		invalidText("rules are a mapping", "process_names:\n  comm: [java]\n", 2, "begin each rule"),
		invalidText("rules are a number", "process_names: 1\n", 1, "begin each rule"),
		invalidText("the file is a list", "- comm: [java]\n", 1, "begin it with process_names:"),
		invalidText("the file is a text", "java\n", 1, "begin it with process_names:"),
		invalidText("TOML", "[process_names]\nname = \"x\"\n", 1, "begin it with process_names:"),
		invalidText("INI", "process_names = java\n", 1, "begin it with process_names:"),
		invalidText("HTML", "<!DOCTYPE html>\n<html><title>404</title></html>\n", 1, "begin it with process_names:"),
		invalidText("JSON cut short", `{"process_names": [{"name": "x", "comm": ["java"]`, 1, invalid),
		invalidText("an empty JSON list", "[]", 1, "begin it with process_names:"),
		invalidText("a selector is a mapping", "process_names:\n- comm: {bash}\n", 2, "comm is a mapping"),
		invalidText("nested list", "process_names:\n- comm:\n  - a\n  - [b]\n", 4, "an item of comm is a list"),
		invalidText("nested mapping", "process_names:\n- cmdline:\n  - a: b\n", 3, "an item of cmdline is a mapping"),
		invalidText("the name is a list", rulePrefix+"name: [b]\n", 3, "name is a list"),
		invalidText("a key is a list", "process_names:\n- ? [a]\n  : b\n", 2, "a key is a list"),
		invalidText("a reserved name", rulePrefix+"name: _other\n", 3, "choose another"),
		invalidText("a template without quotes", rulePrefix+"name: {{.Comm}}\n", 3, "quotes"),
		invalidText("a template that does not end", rulePrefix+"name: '{{.Comm'\n", 3, "bad name template"),
		invalidText("a function that is none", rulePrefix+"name: '{{title .Comm}}'\n", 3, "text/template"),
		invalidText("an expression in a template", rulePrefix+"name: '{{regexReplace \"(\" \"\" .Comm}}'\n", 3, "missing closing )"),
		invalidText("an expression", "process_names:\n- cmdline:\n  - a\n  - '('\n", 4, "RE2"),
		invalidText("lookahead", "process_names:\n- cmdline: ['a(?!b)']\n", 2, "put the exception under not:"),
		invalidText("lookbehind", "process_names:\n- cmdline: ['(?<!b)a']\n", 2, "put the exception under not:"),
		invalidText("a billion repetitions", "process_names:\n- cmdline: ['(((a{1000}){1000}){1000})']\n", 2, "RE2"),
		invalidText("an expression of a megabyte", "process_names:\n- cmdline: ['"+strings.Repeat("(", megabyte-64)+"']\n", 2,
			"several rules of the same name"),
		invalidText("a deep expression", "process_names:\n- cmdline: ['"+strings.Repeat("(", megabyte>>3)+"']\n", 2, "RE2"),
		invalidText("a template of a megabyte", rulePrefix+"name: '"+strings.Repeat("{{", megabyte/2-64)+"'\n", 3, "text/template"),
		invalidText("a number that is none", rulePrefix+"max_groups: many\n", 3, "write a number"),
		invalidText("a number too low", rulePrefix+"max_groups: -1\n", 3, "write a number"),
		invalidText("a number too high", rulePrefix+"top: 1000\n", 3, "write a number"),
		invalidText("a switch that is none", rulePrefix+"ignore: perhaps\n", 3, "write true or false"),
		invalidText("expect is a number", rulePrefix+"expect: 1\n", 3, "expect: {min: 1}"),
		invalidText("expect of many groups", rulePrefix+"expect: {min: 1}\n", 3, "without {{ }}"),
		invalidText("min above max", rulePrefix+"name: x\n  expect: {min: 2, max: 1}\n", 4, "exchange them"),
		invalidText("labels are a list", rulePrefix+"labels: [a]\n", 3, "write it as labels:"),
		invalidText("a label with a meaning", rulePrefix+"labels: {groupname: x}\n", 3, "choose another name"),
		invalidText("a label that is none", rulePrefix+"labels: {a-b: x}\n", 3, "letters, digits"),
		invalidText("not is a text", rulePrefix+"not: java\n", 3, "write it as not:"),
		invalidText("not refuses nothing", rulePrefix+"not: {}\n", 3, "give it a selector"),
		invalidText("a shell pattern", "process_names:\n- exe_path: ['/usr/[a']\n", 2, "needs its ]"),
		invalidText("base64", "process_names:\n- comm: [!!binary '*']\n", 2, "base64"),
		invalidText("a merge of a text", "process_names:\n- {<<: a, comm: [a]}\n", 2, "<< merges a single text"),
		invalidText("an anchor that is none", "process_names: *a\n", 1, invalid),
		invalidText("an anchor that contains itself", "process_names: &a [*a]\n", 1, "a rule is a list"),
	}
}

// invalidYAML returns files that are not valid YAML.
func invalidYAML() []invalidFile {
	const invalid, megabyte = "not valid YAML", 1 << 20
	return []invalidFile{
		invalidText("a quote that does not end", rulePrefix+"name: \"x\n", 3, invalid),
		invalidText("a bracket that does not end", "process_names:\n- comm: [a\n- b: c\n", 2, invalid),
		invalidText("indentation", "process_names:\n- comm: [a]\n name: b\n", 3, invalid),
		invalidText("a tab", "process_names:\n\t- comm: [a]\n", 2, invalid),
		invalidText("a control character", "process_names:\n- comm: [\"a\x01\"]\n", 2, invalid),
		invalidText("a NUL byte", "process_names:\n- comm: [java]\n\x00", 3, invalid),
		invalidText("nothing but NUL bytes", strings.Repeat("\x00", megabyte), 1, invalid),
		invalidText("not UTF-8", "process_names:\n- comm: [caf\xe9]\n", 2, invalid),
		invalidText("UTF-16 cut short", "\xff\xfep\x00r", 1, invalid),
		invalidText("compressed", compressed(oneGroup("x")), 1, invalid),
		invalidText("a program", "\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 57), 1, invalid),
		invalidText("lists in lists", "process_names: "+strings.Repeat("[", megabyte-64), 1, invalid),
		invalidText("lists in lists by dashes", "process_names:\n"+strings.Repeat("- ", megabyte/2-64), 2, ""),
		invalidText("mappings in mappings", "process_names: "+strings.Repeat("{", megabyte-64), 1, invalid),
		invalidText("a word of a megabyte", strings.Repeat("x", megabyte), 1, "begin it with process_names:"),
		invalidText("too long", oneGroup("x")+strings.Repeat("#", megabyte), 0, "is it the right file?"),
		invalidText("aliases of aliases", "x-list: &list ["+strings.Repeat("a,",
			2000)+"]\nprocess_names:\n"+strings.Repeat("- cmdline: *list\n", 2000), 1, "aliases make the file too large"),
	}
}

// unreadableFiles returns files that cannot be read, and objects that are not regular files.
func unreadableFiles() []invalidFile {
	const irregular = "is not a regular file; give the path of a YAML file"
	return []invalidFile{
		{"absent", func(string) error { return nil }, 0, "no such file"},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o755) }, 0, irregular},
		{"a FIFO", func(path string) error { return syscall.Mkfifo(path, 0o666) }, 0, irregular},
		{"a socket", func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		}, 0, "cannot be opened"},
		{"not for us", func(path string) error { return os.WriteFile(path, []byte(oneGroup("x")), 0) }, 0, "permission denied"},
		{"with a hole of 8 GiB", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 8<<30))
		}, 0, "is it the right file?"},
		invalidLink("/dev/zero", irregular),
		invalidLink("/dev/null", irregular),
		invalidLink("/dev/full", irregular),
		invalidLink("/dev/random", irregular),
		invalidLink("/proc/self/mem", "cannot be"),
		invalidLink("/proc/kmsg", "cannot be"),
		invalidLink("/nonexistent", "no such file"),
		invalidLink("config.yaml", "too many levels"), // a link to itself
		invalidLink("/etc/passwd/config.yaml", "not a directory"),
		invalidLink("/", irregular),
	}
}

func compressed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text) // cannot fail
	_ = z.Close()
	return b.String()
}

// install replaces path with the file.
func (f invalidFile) install(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(path), f.create(path)); err != nil {
		t.Fatal(err)
	}
}

// check checks the error message about the file.
func (f invalidFile) check(t *testing.T, path, message string) {
	t.Helper()
	want := path + ": "
	if f.line > 0 {
		want = fmt.Sprintf("%s:%d:", path, f.line)
	}
	if !strings.Contains(message, want) || !strings.Contains(message, f.want) {
		t.Errorf("got %.600q, want %q and %q in it", message, want, f.want)
	}
	if n := len(message); n > 1000 || strings.Count(message, "\n") != 1 || !strings.HasSuffix(message, "\n") {
		t.Errorf("got a message of %d bytes and %d lines, want one line of at most 1000 bytes", n, strings.Count(message, "\n"))
	}
}

// unprivilegedExporter returns a function that starts the exporter without the race detector, as a
// user that is not root, and the path of its configuration. Root could read every file.
func unprivilegedExporter(t *testing.T, args ...string) (command func() *exec.Cmd, config string) {
	t.Helper()
	program := executablePlainCopy(t)
	config = filepath.Join(filepath.Dir(program), "config.yaml")
	return func() *exec.Cmd {
		c := exec.Command(program, append(args, "--source=procfs", "--web.listen-address=127.0.0.1:0", "--config.path", config)...)
		if os.Getuid() == 0 {
			c.SysProcAttr = unprivileged()
		}
		return c
	}, config
}

// executablePlainCopy returns a copy of the exporter without the race detector that every user can
// execute.
func executablePlainCopy(t *testing.T) string {
	t.Helper()
	plain := plainBinary(t)
	program := executableCopy(t)
	text, err := os.ReadFile(plain)
	if err := errors.Join(err, os.WriteFile(program, text, 0o755)); err != nil {
		t.Fatal(err)
	}
	return program
}

// checkRejectTime fails the test under make chaos if it took longer than a second to reject a file.
func checkRejectTime(t *testing.T, start time.Time) {
	t.Helper()
	if took := time.Since(start); chaos && took > time.Second {
		t.Errorf("got %v, want at most a second", took)
	}
}

// TestStartRejectsInvalidConfig starts the exporter with every invalid file.
func TestStartRejectsInvalidConfig(t *testing.T) {
	command, config := unprivilegedExporter(t)
	for _, f := range invalidFiles() {
		t.Run(f.name, func(t *testing.T) {
			f.install(t, config)
			c := command()
			var stdout, stderr bytes.Buffer
			c.Stdout, c.Stderr = &stdout, &stderr
			start := time.Now()
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(testTimeout, func() { _ = c.Process.Kill() })
			_ = c.Wait() // the ProcessState has the result
			late.Stop()
			checkRejectTime(t, start)
			if status := c.ProcessState.ExitCode(); status != 1 || stdout.Len() > 0 {
				t.Errorf("got status %d and stdout %q, want 1 and nothing", status, stdout.String())
			}
			f.check(t, config, stderr.String())
		})
	}
}

// TestReloadRejectsInvalidConfig replaces the configuration of a running exporter with every invalid
// file. Reloads with SIGHUP and over HTTP reject it, and the previous configuration stays in use.
func TestReloadRejectsInvalidConfig(t *testing.T) {
	command, config := unprivilegedExporter(t, "--web.enable-lifecycle", "--no-threads")
	good := "process_names:\n- {name: kept, cmdline: '^kept-aside '}\n- {name: all, cmdline: .+}\n"
	if err := os.WriteFile(config, []byte(good), 0o644); err != nil {
		t.Fatal(err)
	}
	work := startIdle(t)
	notifySocket := listenNotify(t, filepath.Dir(config))
	c := command()
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+notifySocket.path)
	r := startReady(t, c)
	notifySocket.expect("READY=1")
	r.Scrape()
	work()
	before, _ := r.idleSeries()
	if before.cpu("kept") == 0 {
		t.Fatalf("got no counters of the idle process: %v", before)
	}
	empty := invalidText("no rules", "process_names:\n", 0, "the file has no rules") // at the start it is valid
	// A scrape beside others can get a response from before the last reload. There are no others yet.
	r.reloadWith(t, empty, config, notifySocket)
	if _, successful := r.idleSeries(); successful {
		t.Error("got a successful reload of a file without rules")
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { defer close(stopped); scrapeUntil(t, r, stop) }()
	for _, f := range append(invalidFiles(), empty) {
		t.Run(f.name, func(t *testing.T) {
			r.reloadWith(t, f, config, notifySocket)
			now, successful := r.idleSeries()
			if successful {
				t.Error("got a successful reload of an invalid file")
			}
			for key, want := range before {
				if got, exported := now[key]; got != want || !exported {
					t.Errorf("%s: got %v, want the previous value %v", key, got, want)
				}
			}
			if status, text := r.postReload(); status != http.StatusInternalServerError {
				t.Errorf("got status %d, want 500: %s", status, text)
			} else {
				f.check(t, config, text)
			}
			notifySocket.expect("RELOADING=1")
			notifySocket.expect("READY=1")
		})
	}
	close(stop)
	<-stopped
	invalidText("good", good, 0, "").install(t, config)
	if status, text := r.postReload(); status != http.StatusOK {
		t.Errorf("got status %d for a valid file: %s", status, text)
	}
	if body := r.Scrape(); !strings.Contains(body, "namedprocess_exporter_config_last_reload_successful 1\n") {
		t.Error("got no namedprocess_exporter_config_last_reload_successful 1")
	}
	for _, line := range linesWith(r.Log(), "reload failed") {
		if !strings.Contains(line, config) || len(line) > 1000 {
			t.Errorf("got a log line of %d bytes: %.300s", len(line), line)
		}
	}
}

// reloadWith installs an invalid file, and sends SIGHUP. It waits until the file is rejected.
func (r *instance) reloadWith(t *testing.T, f invalidFile, config string, m *notifySocket) {
	t.Helper()
	f.install(t, config)
	start := time.Now()
	r.Signal(syscall.SIGHUP)
	m.expect("RELOADING=1")
	m.expect("READY=1")
	checkRejectTime(t, start)
}

// startIdle starts a process that uses some CPU time when work is called, and sleeps afterwards.
func startIdle(t *testing.T) (work func()) {
	t.Helper()
	shell := exec.Command("sh", "-c", "read begin; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; read end")
	shell.Args[0] = "kept-aside"
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = shell.Wait() }) // the shell exits with an error at the end of its input
	return func() {
		t.Helper()
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("done\n"))); err != nil {
			t.Fatal(err)
		}
		testenv.WaitFor(t, "the shell to sleep", func() bool { return strings.Contains(procText(t, shell.Process.Pid, "stat"), ") S ") })
	}
}

// idleSeries returns the counters of the idle process, which a rejected file must not change, and
// whether the last reload was successful.
func (r *instance) idleSeries() (before sampleSet, successful bool) {
	r.t.Helper()
	series, _ := parseMetrics(r.t, r.Scrape())
	before = make(sampleSet)
	for key, v := range series.seriesOfGroups("kept") {
		if strings.Contains(key, "_total{") || strings.HasPrefix(key, "num_procs{") {
			before[key] = v
		}
	}
	return before, series["namedprocess_exporter_config_last_reload_successful{}"] == 1
}

// postReload requests a reload over HTTP.
func (r *instance) postReload() (status int, text string) {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodPost, r.URL+reloadPath, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	response, text := r.do(request)
	return response.StatusCode, text
}

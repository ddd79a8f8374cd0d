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
	"strings"
	"syscall"
	"testing"
	"time"
)

// A badFile is a configuration that has to be refused.
type badFile struct {
	name string
	put  func(path string) error // makes the file
	line int                     // that a message names, 0 where the whole file is the trouble
	want string                  // what a message says, or what it tells to do
}

// badText is a file with a text that has to be refused.
func badText(name, text string, line int, want string) badFile {
	return badFile{name, func(path string) error { return os.WriteFile(path, []byte(text), 0o644) }, line, want}
}

// badLink is a symbolic link to what no configuration can be.
func badLink(to, want string) badFile {
	return badFile{"a link to " + to, func(path string) error { return os.Symlink(to, path) }, 0, want}
}

const ruleOf = "process_names:\n- comm: [java]\n  "

// badTexts are files that make no sense to us.
func badTexts() []badFile {
	const invalid, megabyte = "not valid YAML", 1 << 20
	return []badFile{
		badText("no selector", "process_names:\n- {name: all, cmdline: }\n", 2, "give it comm, exe or cmdline"),
		badText("empty rule", "process_names:\n-\n", 2, "a rule is empty"),
		badText("a rule is a text", "process_names:\n- java\n", 2, "- comm: [java]"),
		badText("rules are a text", "process_names: java\n", 1, "begin each rule"),
		badText("rules are a mapping", "process_names:\n  comm: [java]\n", 2, "begin each rule"),
		badText("rules are a number", "process_names: 1\n", 1, "begin each rule"),
		badText("the file is a list", "- comm: [java]\n", 1, "begin it with process_names:"),
		badText("the file is a text", "java\n", 1, "begin it with process_names:"),
		badText("TOML", "[process_names]\nname = \"x\"\n", 1, "begin it with process_names:"),
		badText("INI", "process_names = java\n", 1, "begin it with process_names:"),
		badText("HTML", "<!DOCTYPE html>\n<html><title>404</title></html>\n", 1, "begin it with process_names:"),
		badText("JSON cut short", `{"process_names": [{"name": "x", "comm": ["java"]`, 1, invalid),
		badText("an empty JSON list", "[]", 1, "begin it with process_names:"),
		badText("a selector is a mapping", "process_names:\n- comm: {bash}\n", 2, "comm is a mapping"),
		badText("nested list", "process_names:\n- comm:\n  - a\n  - [b]\n", 4, "an item of comm is a list"),
		badText("nested mapping", "process_names:\n- cmdline:\n  - a: b\n", 3, "an item of cmdline is a mapping"),
		badText("the name is a list", ruleOf+"name: [b]\n", 3, "name is a list"),
		badText("a key is a list", "process_names:\n- ? [a]\n  : b\n", 2, "a key is a list"),
		badText("a reserved name", ruleOf+"name: _other\n", 3, "choose another"),
		badText("a template without quotes", ruleOf+"name: {{.Comm}}\n", 3, "quotes"),
		badText("a template that does not end", ruleOf+"name: '{{.Comm'\n", 3, "bad name template"),
		badText("a function that is none", ruleOf+"name: '{{title .Comm}}'\n", 3, "text/template"),
		badText("an expression in a template", ruleOf+"name: '{{regexReplace \"(\" \"\" .Comm}}'\n", 3, "missing closing )"),
		badText("an expression", "process_names:\n- cmdline:\n  - a\n  - '('\n", 4, "RE2"),
		badText("lookahead", "process_names:\n- cmdline: ['a(?!b)']\n", 2, "put the exception under not:"),
		badText("lookbehind", "process_names:\n- cmdline: ['(?<!b)a']\n", 2, "put the exception under not:"),
		badText("a billion repetitions", "process_names:\n- cmdline: ['(((a{1000}){1000}){1000})']\n", 2, "RE2"),
		badText("an expression of a megabyte", "process_names:\n- cmdline: ['"+strings.Repeat("(", megabyte-64)+"']\n", 2, "several rules of the same name"),
		badText("a deep expression", "process_names:\n- cmdline: ['"+strings.Repeat("(", megabyte>>3)+"']\n", 2, "RE2"),
		badText("a template of a megabyte", ruleOf+"name: '"+strings.Repeat("{{", megabyte/2-64)+"'\n", 3, "text/template"),
		badText("a number that is none", ruleOf+"max_groups: many\n", 3, "write a number"),
		badText("a number too low", ruleOf+"max_groups: -1\n", 3, "write a number"),
		badText("a number too high", ruleOf+"top: 1000\n", 3, "write a number"),
		badText("a switch that is none", ruleOf+"ignore: perhaps\n", 3, "write true or false"),
		badText("expect is a number", ruleOf+"expect: 1\n", 3, "expect: {min: 1}"),
		badText("expect of many groups", ruleOf+"expect: {min: 1}\n", 3, "without {{ }}"),
		badText("min above max", ruleOf+"name: x\n  expect: {min: 2, max: 1}\n", 4, "exchange them"),
		badText("labels are a list", ruleOf+"labels: [a]\n", 3, "write it as labels:"),
		badText("a label with a meaning", ruleOf+"labels: {groupname: x}\n", 3, "choose another name"),
		badText("a label that is none", ruleOf+"labels: {a-b: x}\n", 3, "letters, digits"),
		badText("not is a text", ruleOf+"not: java\n", 3, "write it as not:"),
		badText("not refuses nothing", ruleOf+"not: {}\n", 3, "give it a selector"),
		badText("a shell pattern", "process_names:\n- exe_path: ['/usr/[a']\n", 2, "needs its ]"),
		badText("base64", "process_names:\n- comm: [!!binary '*']\n", 2, "base64"),
		badText("a merge of a text", "process_names:\n- {<<: a, comm: [a]}\n", 2, "<< merges a single text"),
		badText("an anchor that is none", "process_names: *a\n", 1, invalid),
		badText("an anchor that contains itself", "process_names: &a [*a]\n", 1, "a rule is a list"),
		badText("a quote that does not end", ruleOf+"name: \"x\n", 3, invalid),
		badText("a bracket that does not end", "process_names:\n- comm: [a\n- b: c\n", 2, invalid),
		badText("indentation", "process_names:\n- comm: [a]\n name: b\n", 3, invalid),
		badText("a tab", "process_names:\n\t- comm: [a]\n", 2, invalid),
		badText("a control character", "process_names:\n- comm: [\"a\x01\"]\n", 2, invalid),
		badText("a NUL byte", "process_names:\n- comm: [java]\n\x00", 3, invalid),
		badText("nothing but NUL bytes", strings.Repeat("\x00", megabyte), 1, invalid),
		badText("not UTF-8", "process_names:\n- comm: [caf\xe9]\n", 2, invalid),
		badText("UTF-16 cut short", "\xff\xfep\x00r", 1, invalid),
		badText("compressed", compressed(groupOfAll("x")), 1, invalid),
		badText("a program", "\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 57), 1, invalid),
		badText("lists in lists", "process_names: "+strings.Repeat("[", megabyte-64), 1, invalid),
		badText("lists in lists by dashes", "process_names:\n"+strings.Repeat("- ", megabyte/2-64), 2, ""),
		badText("mappings in mappings", "process_names: "+strings.Repeat("{", megabyte-64), 1, invalid),
		badText("a word of a megabyte", strings.Repeat("x", megabyte), 1, "begin it with process_names:"),
		badText("too long", groupOfAll("x")+strings.Repeat("#", megabyte), 0, "is it the right file?"),
		badText("aliases of aliases", "x-list: &list ["+strings.Repeat("a,", 2000)+"]\nprocess_names:\n"+strings.Repeat("- cmdline: *list\n", 2000), 1, "aliases make the file too large"),
	}
}

// badObjects are no files, or no files that can be read.
func badObjects() []badFile {
	const irregular = "is not a regular file; give the path of a YAML file"
	return []badFile{
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
		{"not for us", func(path string) error { return os.WriteFile(path, []byte(groupOfAll("x")), 0) }, 0, "permission denied"},
		{"with a hole of 8 GiB", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 8<<30))
		}, 0, "is it the right file?"},
		badLink("/dev/zero", irregular),
		badLink("/dev/null", irregular),
		badLink("/dev/full", irregular),
		badLink("/dev/random", irregular),
		badLink("/proc/self/mem", "cannot be"),
		badLink("/proc/kmsg", "cannot be"),
		badLink("/nonexistent", "no such file"),
		badLink("config.yaml", "too many levels"), // itself
		badLink("/etc/passwd/config.yaml", "not a directory"),
		badLink("/", irregular),
	}
}

func compressed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text) // into memory
	_ = z.Close()
	return b.String()
}

// place makes the file where another may be.
func (f badFile) place(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(path), f.put(path)); err != nil {
		t.Fatal(err)
	}
}

// check reports what is wrong with a message about the file.
func (f badFile) check(t *testing.T, path, message string) {
	t.Helper()
	want := path + ": "
	if f.line > 0 {
		want = fmt.Sprintf("%s:%d:", path, f.line)
	}
	if !strings.Contains(message, want) || !strings.Contains(message, f.want) {
		t.Errorf("got %.600q, want %q and %q in it", message, want, f.want)
	}
	if n := len(message); n > 1000 || strings.Count(message, "\n") != 1 || !strings.HasSuffix(message, "\n") {
		t.Errorf("got a message of %d bytes and %d lines", n, strings.Count(message, "\n"))
	}
}

// everybodysExporter returns how to start the exporter that users run, and a path
// for its configuration, as an ordinary user: with root's rights it could read all
// files.
func everybodysExporter(t *testing.T, args ...string) (command func() *exec.Cmd, config string) {
	t.Helper()
	program := everybodysPlainCopy(t)
	config = filepath.Join(filepath.Dir(program), "config.yaml")
	return func() *exec.Cmd {
		c := exec.Command(program, append(args, "--source=procfs", "--web.listen-address=127.0.0.1:0", "--config.path", config)...)
		if os.Getuid() == 0 {
			c.SysProcAttr = nobody()
		}
		return c
	}, config
}

// everybodysPlainCopy returns a copy, which every user may run, of the exporter that
// users run.
func everybodysPlainCopy(t *testing.T) string {
	t.Helper()
	plain, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	program := everybodysCopy(t)
	text, err := os.ReadFile(plain)
	if err := errors.Join(err, os.WriteFile(program, text, 0o755)); err != nil {
		t.Fatal(err)
	}
	return program
}

// atOnce fails the test if something that is refused took longer than a second.
func atOnce(t *testing.T, begun time.Time) {
	t.Helper()
	if took := time.Since(begun); chaos && took > time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestStartRefusesFiles starts the exporter with every file that it has to refuse.
func TestStartRefusesFiles(t *testing.T) {
	onlyLinux(t)
	command, config := everybodysExporter(t)
	for _, f := range append(badTexts(), badObjects()...) {
		t.Run(f.name, func(t *testing.T) {
			f.place(t, config)
			c := command()
			var stdout, stderr bytes.Buffer
			c.Stdout, c.Stderr = &stdout, &stderr
			begun := time.Now()
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
			_ = c.Wait() // the state says how it went
			late.Stop()
			atOnce(t, begun)
			if status := c.ProcessState.ExitCode(); status != 1 || stdout.Len() > 0 {
				t.Errorf("got status %d and on standard output %q", status, stdout.String())
			}
			f.check(t, config, stderr.String())
		})
	}
}

// TestReloadRefusesFiles puts every such file into the place of the one that a
// running exporter has read: by SIGHUP and over HTTP it is refused, and what was in
// force goes on as if nothing were.
func TestReloadRefusesFiles(t *testing.T) {
	onlyLinux(t)
	command, config := everybodysExporter(t, "--web.enable-lifecycle", "--no-threads")
	good := "process_names:\n- {name: kept, cmdline: '^kept-aside '}\n- {name: all, cmdline: .+}\n"
	if err := os.WriteFile(config, []byte(good), 0o644); err != nil {
		t.Fatal(err)
	}
	work := startKept(t)
	manager := listenAsManager(t, filepath.Dir(config))
	c := command()
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+manager.path)
	r := startReady(t, c)
	manager.expect("READY=1")
	r.Scrape()
	work()
	kept, _ := r.keptSeries()
	if kept.cpu("kept") == 0 {
		t.Fatalf("got no counters to be kept: %v", kept)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { defer close(stopped); scrapeUntil(t, r, stop) }()
	for _, f := range append(badTexts(), badObjects()...) {
		t.Run(f.name, func(t *testing.T) {
			f.place(t, config)
			begun := time.Now()
			r.Signal(syscall.SIGHUP)
			manager.expect("RELOADING=1")
			manager.expect("READY=1")
			atOnce(t, begun)
			now, successful := r.keptSeries()
			if successful {
				t.Error("the metric says that the file was good")
			}
			for key, want := range kept {
				if got, shown := now[key]; got != want || !shown {
					t.Errorf("%s is %v, and was %v", key, got, want)
				}
			}
			if status, text := r.postReload(); status != http.StatusInternalServerError {
				t.Errorf("got status %d: %s", status, text)
			} else {
				f.check(t, config, text)
			}
			manager.expect("RELOADING=1")
			manager.expect("READY=1")
		})
	}
	close(stop)
	<-stopped
	badText("good", good, 0, "").place(t, config)
	if status, text := r.postReload(); status != http.StatusOK {
		t.Errorf("got status %d of a good file: %s", status, text)
	}
	if body := r.Scrape(); !strings.Contains(body, "namedprocess_exporter_config_last_reload_successful 1\n") {
		t.Error("the metric does not say that all is well again")
	}
	for _, line := range grep(r.Log(), "reload failed") {
		if !strings.Contains(line, config) || len(line) > 1000 {
			t.Errorf("got a line of %d bytes in the log: %.300s", len(line), line)
		}
	}
}

// startKept starts a process that uses some CPU when it is told to, and from then on
// nothing at all.
func startKept(t *testing.T) (work func()) {
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
	t.Cleanup(func() { _ = in.Close(); _ = shell.Wait() }) // reading to the end is an error for it
	return func() {
		t.Helper()
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("done\n"))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "its last sleep", func() bool { return strings.Contains(procText(t, shell.Process.Pid, "stat"), ") S ") })
	}
}

// keptSeries returns the series that a file which is refused must not change, those
// of a process that does nothing meanwhile, and what is said of the last reload.
func (r *running) keptSeries() (kept sampleSet, successful bool) {
	r.t.Helper()
	series, _ := parseMetrics(r.t, r.Scrape())
	kept = make(sampleSet)
	for key, v := range series.groupsOf("kept") {
		if strings.Contains(key, "_total{") || strings.HasPrefix(key, "num_procs{") {
			kept[key] = v
		}
	}
	return kept, series["namedprocess_exporter_config_last_reload_successful{}"] == 1
}

// postReload asks for a reload over HTTP.
func (r *running) postReload() (status int, text string) {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodPost, r.URL+reloadPath, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	response, text := r.do(request)
	return response.StatusCode, text
}

// TestDoubtfulFiles holds that files which the predecessor takes still work: what
// they lack is said, not refused.
func TestDoubtfulFiles(t *testing.T) {
	onlyLinux(t)
	const good = "process_names:\n- {name: all, cmdline: .+}\n"
	command, config := everybodysExporter(t, "--once-to-stdout-delay=1ms")
	rules, limit := 1000, patience
	if chaos {
		rules, limit = 28_000, 10*time.Second // as many as there is room for
	}
	var many strings.Builder
	many.WriteString("process_names:\n- {comm: [a0], name: x}\n")
	for i := range rules {
		fmt.Fprintf(&many, "- {comm: [a%d], name: b}\n", i)
	}
	for _, tt := range []struct{ name, text, want string }{ // want is a part of the warning, if there is one
		{"many rules", many.String(), ":3:3: the rule is never reached"},
		{"empty", "", ""},
		{"only a comment", "# nothing\n", ""},
		{"no rules", "process_names: []\n", ""},
		{"empty comm list", "process_names:\n- {name: x, comm: []}\n", ""},
		{"a typo", strings.Replace(good, "names", "name", 1), `:1:1: unknown key "process_name", did you mean "process_names"?`},
		{"an unknown key", good + "colour: red\n", `:3:1: unknown key "colour"`},
		{"a key given twice", "process_names:\n- {comm: [sh], name: all, comm: [java]}\n", `:2:27: key "comm" is given twice`},
		{"a second document", good + "---\n" + good, ":3:1: only the first document"},
		{"1,000 unknown keys", good + strings.Repeat("k: 1\n", 1000), `:3:1: unknown key "k"`},
		{"an unknown key of a megabyte", good + "? " + strings.Repeat("k", 1<<20-64) + "\n: 1\n", "unknown key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			badText("", tt.text, 0, "").place(t, config)
			c := command()
			var stdout, stderr bytes.Buffer
			c.Stdout, c.Stderr = &stdout, &stderr
			begun := time.Now()
			if err := c.Run(); err != nil || !strings.Contains(stdout.String(), "namedprocess_exporter_scrape_success 1\n") {
				t.Errorf("got %v, %.300q and %.300q", err, stdout.String(), stderr.String())
			}
			if took := time.Since(begun); took > limit {
				t.Errorf("it took %v", took)
			}
			check := command()
			check.Args = append(check.Args, "--config.check")
			told, err := check.Output()
			if (err == nil) != (tt.want == "") || !bytes.Contains(told, []byte(tt.want)) {
				t.Errorf("the check says %.600q, error %v, want %q", told, err, tt.want)
			}
			if longest := len(bytes.Split(told, []byte("\n"))[0]); longest > 1000 {
				t.Errorf("the check says a line of %d bytes", longest)
			}
		})
	}
}

package e2e

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestCommands runs the subcommands that use rules, on a real process.
func TestCommands(t *testing.T) {
	token := uniqueToken()
	rules := writeFile(t, "rules.yaml", `process_names:
- name: nothing
  comm: no-such-process
- name: "job {{.Matches.id}}"
  cmdline: '--id=(?P<id>`+token+`)'
  not: {user: nobody}
  labels: {who: "{{.Username}}"}
`)
	d := startIdentityChange(t, "--id="+token)
	child := d.fork("/bin/sleep", "sleep", "600")
	d.do("release")
	testenv.WaitFor(t, "the exec of the child", func() bool { return procText(t, child, "comm") == "sleep" })

	for _, tt := range commandCases(t, d.pid(), child, token, rules) {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := runToExit(t, tt.args...)
			if status != tt.status {
				t.Errorf("got status %d, want %d; stderr: %s", status, tt.status, stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains(stdout+stderr, want) {
					t.Errorf("got no %q in\n%s%s", want, stdout, stderr)
				}
			}
			if strings.Count(stderr, "\n") > 1 {
				t.Errorf("got more than one line on stderr:\n%s", stderr)
			}
		})
	}
}

// A commandCase is a command line with its exit status and parts of its output.
type commandCase struct {
	name   string
	args   []string
	status int
	want   []string
}

// commandCases returns the cases of TestCommands for a process and its child.
func commandCases(t *testing.T, pid, child int, token, rules string) []commandCase {
	t.Helper()
	return []commandCase{
		{"explain", []string{"explain", "--config.path", rules, strconv.Itoa(pid)}, 0, []string{
			"process " + strconv.Itoa(pid) + " (identitychange)", "rule 1, " + rules +
				":2", `FAIL comm      expects "no-such-process"; found "identitychange"`,
			"captured id = \"" + token + `"`, `=> in group "job ` + token + `" {who="`, "(rule 2, the first match)"}},
		{"explain a child", []string{"explain", "-config.path=" + rules, strconv.Itoa(child)}, 0, []string{
			`in group "job ` + token + `" of its ancestor identitychange (` + strconv.Itoa(pid) + ")", "children: false in rule 2"}},
		{"explain a child without inheritance", []string{"explain", "-children=false", "-config.path", rules, strconv.Itoa(child)}, 0,
			[]string{"=> in no group: no rule matches it"}},
		{"explain by name", []string{"explain", "-config.path", rules, "identitychange"}, 0, []string{"process " + strconv.Itoa(pid)}},
		{"explain as JSON", []string{"explain", "--json", "-config.path", rules, strconv.Itoa(child)}, 0,
			[]string{`"group": "job ` + token + `"`, `"inherited_from": {`, `"ignored": false`}},
		{"explain an unknown name", []string{"explain", "no-such-process"}, 1, []string{"no process no-such-process"}},
		{"explain without a process", []string{"explain"}, 1, []string{"missing process"}},
		{"explain with a missing file", []string{"explain", "-config.path", filepath.Join(t.TempDir(), "none"), "1"}, 1,
			[]string{"cannot be opened"}},
		{"groups", []string{"groups", "--pause=10ms", "--sort=name", "-config.path", rules}, 0, []string{"PROCS", "job " + token + "{who="}},
		{"groups as JSON", []string{"groups", "--pause=0s", "--json", "-config.path", rules}, 0,
			[]string{`"group": "job ` + token + `"`, `"num_procs": 2`, `"group": "nothing"`}},
		{"groups with an argument", []string{"groups", "x"}, 1, []string{`unexpected argument "x"`}},
		{"groups with an unknown order", []string{"groups", "--sort=x"}, 1, []string{"--sort", "cpu"}},
		{"check", []string{"check", rules}, 0, []string{"matches no process of this machine", "job {{.Matches.id}}",
			"The configuration is valid."}},
		{"check without processes", []string{"check", "--no-here", rules}, 0, []string{"The configuration is valid."}},
		{"check two files", []string{"check", rules, rules}, 1, []string{"one file"}},
		{"check with a warning", []string{"check", "--here=false", writeFile(t, "doubt.yaml",
			"process_names:\n- {name: a, comm: a}\n- {name: b, comm: a}\n")}, 1, []string{"doubt.yaml:3:3: warning: the rule is never reached"}},
		{"check an invalid file", []string{"check", writeFile(t, "bad.yaml", "process_names:\n- name: a\n  cmdline: '('\n")}, 1,
			[]string{"bad.yaml:3:12: error: bad cmdline regex"}},
		{"schema", []string{"check", "--schema"}, 0, []string{`"$schema"`, `"process_names"`}},
		{"help", []string{"explain", "--help"}, 0, []string{"usage: process_exporter explain [FLAG...] PID|NAME", "--config.path"}},
		{"unknown flag", []string{"groups", "--sorted"}, 1, []string{"did you mean --sort?"}},
	}
}

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// eachSource runs a test with every available process source.
func eachSource(t *testing.T, test func(t *testing.T, source string)) {
	t.Run("procfs", func(t *testing.T) { test(t, "--source=procfs") })
	t.Run("bpf", func(t *testing.T) {
		requireBPF(t)
		test(t, "--source=bpf")
	})
}

// groupChangeRules are the rules of TestGroupChanges. TOKEN is replaced by a unique word.
const groupChangeRules = `process_names:
- {name: titled, cmdline: 'title-TOKEN'}
- {name: renamed, comm: renTOKEN}
- {name: execed, cmdline: '--execed=TOKEN'}
- {name: "user {{.Username}}", cmdline: '--id=TOKEN', user: "65534"}
- {name: moved, cmdline: '--id=TOKEN', cgroup: '/identity-'}
- {name: slept, cmdline: '^sleep-TOKEN'}
- {name: first, cmdline: '--id=TOKEN'}
`

// waitForGroup waits until a process with the unique word of the test is the only one, in the given
// group.
func waitForGroup(t *testing.T, r *instance, group string) {
	t.Helper()
	var got map[string]float64
	eventually(t, "a process in group "+group, func() bool {
		got = make(map[string]float64)
		series, _ := parseMetrics(t, r.Scrape())
		for _, name := range []string{"titled", "renamed", "execed", "user nobody", "moved", "slept", "first"} {
			if n := series[fmt.Sprintf("namedprocess_namegroup_num_procs{groupname=%q}", name)]; n != 0 {
				got[name] = n
			}
		}
		return got[group] == 1 && len(got) == 1
	}, func() string { return fmt.Sprint(got) })
}

// TestGroupChanges changes every property of a process that rules match. The process moves to its new
// group, and no counter of the old group decreases.
func TestGroupChanges(t *testing.T) {
	requireLinux(t)
	eachSource(t, func(t *testing.T, source string) {
		token := strconv.Itoa(os.Getpid()) + source[len("--source="):][:1]
		rules := writeFile(t, "rules.yaml", strings.ReplaceAll(groupChangeRules, "TOKEN", token))
		r := startExporter(t, source, "--children=false", "-config.path", rules)
		tests := []struct {
			name string
			do   func(t *testing.T, d *identityChanger) (group string)
		}{
			{"exec", func(_ *testing.T, d *identityChanger) string {
				d.execAs("other", "x", "--execed="+token)
				return "execed"
			}},
			{"rename", func(_ *testing.T, d *identityChanger) string { d.do("name ren%s", token); return "renamed" }},
			{"title", func(_ *testing.T, d *identityChanger) string { d.do("title title-%s", token); return "titled" }},
			{"user", func(t *testing.T, d *identityChanger) string {
				if os.Geteuid() != 0 {
					t.Skip("requires root: changes the user")
				}
				d.do("user 65534")
				return "user nobody"
			}},
			{"control group", func(t *testing.T, d *identityChanger) string {
				dir := makeCgroup(t)
				if dir == "" {
					t.Skip("cannot create a cgroup")
				}
				t.Cleanup(func() { d.end(); removeCgroup(t, dir) })
				d.do("cgroup %s", dir)
				return "moved"
			}},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				d := startIdentityChange(t, "--id="+token, strings.Repeat("x", 100))
				defer d.end()
				waitForGroup(t, r, "first")
				before, _ := parseMetrics(t, r.Scrape())
				group := tt.do(t, d)
				waitForGroup(t, r, group)
				after, _ := parseMetrics(t, r.Scrape())
				for key, was := range before {
					// A thread name is exported while a thread has it.
					if now, ok := after[key]; strings.Contains(key, "_total{") && now < was && (ok || !strings.Contains(key, "threadname=")) {
						t.Errorf("%s decreased from %v to %v", key, was, now)
					}
				}
				if key := fmt.Sprintf("namedprocess_namegroup_group_changes_total{groupname=%q}", group); after[key] != 1 {
					t.Errorf("got %v group changes to %s, want 1", after[key], group)
				}
			})
		}
	})
}

// TestRewrittenTitles changes the command lines of sleeping processes in no group. They are in their
// new group after two scrapes at most.
func TestRewrittenTitles(t *testing.T) {
	requireLinux(t)
	eachSource(t, func(t *testing.T, source string) {
		token := "t" + strconv.Itoa(os.Getpid()) + source[len("--source="):][:1]
		rules := writeFile(t, "rules.yaml", "process_names:\n- {name: titled, cmdline: '^title-"+token+"'}\n")
		r := startExporter(t, source, "--children=false", "-config.path", rules)
		var all []*identityChanger
		for range 6 {
			all = append(all, startIdentityChange(t, "--id="+token, strings.Repeat("x", 100)))
		}
		procs := func() float64 {
			series, _ := parseMetrics(t, r.Scrape())
			return series[`namedprocess_namegroup_num_procs{groupname="titled"}`]
		}
		for range 3 { // a young process is identified twice anyway
			procs()
		}
		for _, d := range all {
			d.do("title title-%s", token)
		}
		procs()
		if got, want := procs(), float64(len(all)); got != want {
			t.Errorf("got %v processes after two scrapes, want %v", got, want)
		}
	})
}

// TestForkBeforeExec scrapes a process between fork and exec, when its command line is that of its
// parent. After the exec it must move to its own group.
func TestForkBeforeExec(t *testing.T) {
	requireLinux(t)
	eachSource(t, func(t *testing.T, source string) {
		token := "f" + strconv.Itoa(os.Getpid()) + source[len("--source="):][:1]
		rules := writeFile(t, "rules.yaml", strings.ReplaceAll(groupChangeRules, "TOKEN", token))
		r := startExporter(t, source, "-config.path", rules)
		d := startIdentityChange(t, "--id="+token)
		d.fork("/bin/sleep", "sleep-"+token, "600")
		procs := func(group string) float64 {
			series, _ := parseMetrics(t, r.Scrape())
			return series[fmt.Sprintf("namedprocess_namegroup_num_procs{groupname=%q}", group)]
		}
		eventually(t, "both processes in the group of the parent", func() bool { return procs("first") == 2 })
		d.do("release")
		eventually(t, "the child in its own group", func() bool { return procs("first") == 1 && procs("slept") == 1 })
	})
}

// TestCommands runs the subcommands that use rules, on a real process.
func TestCommands(t *testing.T) {
	requireLinux(t)
	token := "c" + strconv.Itoa(os.Getpid())
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
	eventually(t, "the exec of the child", func() bool { return procText(t, child, "comm") == "sleep" })

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
			[]string{`"Group": "job ` + token + `"`, `"InheritedFrom": {`}},
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

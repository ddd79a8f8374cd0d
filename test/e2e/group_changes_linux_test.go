package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

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
	testenv.WaitFor(t, "a process in group "+group, func() bool {
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
	eachSource(t, func(t *testing.T, source string) {
		token := uniqueToken()
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
	eachSource(t, func(t *testing.T, source string) {
		token := uniqueToken()
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
	eachSource(t, func(t *testing.T, source string) {
		token := uniqueToken()
		rules := writeFile(t, "rules.yaml", strings.ReplaceAll(groupChangeRules, "TOKEN", token))
		r := startExporter(t, source, "-config.path", rules)
		d := startIdentityChange(t, "--id="+token)
		d.fork("/bin/sleep", "sleep-"+token, "600")
		procs := func(group string) float64 {
			series, _ := parseMetrics(t, r.Scrape())
			return series[fmt.Sprintf("namedprocess_namegroup_num_procs{groupname=%q}", group)]
		}
		testenv.WaitFor(t, "both processes in the group of the parent", func() bool { return procs("first") == 2 })
		d.do("release")
		testenv.WaitFor(t, "the child in its own group", func() bool { return procs("first") == 1 && procs("slept") == 1 })
	})
}

package grouping

import (
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// nobody is the group of a process that no rule wants. Newlines cannot be in
// the names that these tests make.
const nobody = "\n"

// process returns the words of a process with this name and command line.
func process(comm string, args ...string) *platform.Identity {
	return &platform.Identity{
		ID:        platform.ID{PID: 42, Start: 100},
		Comm:      comm,
		Args:      args,
		StartTime: time.Unix(1_700_000_001, 0).UTC(),
		EUID:      1000,
		Username:  "1000",
		Cgroups:   []string{"/a.scope"},
	}
}

// groupOf returns the name of the group of a process, or nobody.
func groupOf(m Matcher, id *platform.Identity) string {
	got := m.Match(id)
	if !got.OK {
		return nobody
	}
	return got.Group
}

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A matchTest is a configuration below process_names, a process and the group
// that it belongs to.
type matchTest struct {
	name, rules string
	process     *platform.Identity
	want        string
}

func runMatchTests(t *testing.T, tests []matchTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustParse(t, "process_names:\n"+tt.rules)
			if got := groupOf(c, tt.process); got != tt.want {
				t.Errorf("got group %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSelectors(t *testing.T) {
	const twoJavas = "- {name: j, exe: [/usr/bin/java, /opt/jdk/bin/java]}"
	const nulls = "- {cmdline: ['^$'], name: '{{.Comm}}/{{.ExeBase}}/{{.ExeFull}}'}"
	const captured = "- {cmdline: ['--path (?P<p>.*)$'], name: '{{.Matches.p}}'}"
	const nginxes = "- {name: a, comm: [nginx]}\n- {name: b, comm: [nginx, java]}"
	const override = "- {cmdline: ['-jar (?P<x>\\S+)', 'java (?P<x>\\S+)'], name: '{{.Matches.x}}'}"
	runMatchTests(t, []matchTest{
		{"trap 1: names are cut to 15 bytes", "- comm: [process-exporter]", process("process-exporte", "x"), nobody},
		{"trap 1: the cut name", "- comm: [process-exporte]", process("process-exporte", "x"), "x"},
		{"trap 2: a title is no path", "- {exe: [nginx], name: '{{.ExeFull}}'}", process("nginx", "nginx: worker process"), nobody},
		{"trap 3: worker", "- comm: [nginx]", process("nginx", "nginx: worker process"), "nginx: worker process"},
		{"trap 3: master", "- comm: [nginx]", process("nginx", "nginx: master process /usr/sbin/nginx -g daemon off;"), "nginx -g daemon off;"},
		{"trap 4: sshd", `- exe: ["0"]`, process("sshd", "sshd: bob@pts/0"), "0"},
		{"trap 5: first of one base name", twoJavas, process("java", "/usr/bin/java"), "j"},
		{"trap 5: second of one base name", twoJavas, process("java", "/opt/jdk/bin/java"), "j"},
		{"trap 5: neither", twoJavas, process("java", "/bin/java"), nobody},
		{"trap 6: base before path", "- {name: j, exe: [java, /usr/bin/java]}", process("java", "/opt/jdk/bin/java"), "j"},
		{"trap 6: path before base", "- {name: j, exe: [/usr/bin/java, java]}", process("java", "/opt/jdk/bin/java"), "j"},
		{"trap 6: the path itself", "- {name: j, exe: [java, /usr/bin/java]}", process("java", "/usr/bin/java"), "j"},
		{"trap 7: a path is literal", "- exe: [/bin/sh]", process("sh", "sh"), nobody},
		{"trap 7: relative paths too", "- exe: [./sh]", process("sh", "./sh"), "sh"},
		{"trap 8: no condition", "- {name: all, cmdline: []}", process("bash", "bash"), "all"},
		{"trap 8: kernel thread", "- {name: all, cmdline: []}", process("kthreadd"), "all"},
		{"trap 9: no name", "- {name: x, comm: []}", process("bash", "bash"), nobody},
		{"trap 9: no exe", "- {name: x, exe: []}", process("bash", "bash"), nobody},
		{"trap 9: and all else", "- {name: x, comm: [], cmdline: []}", process("bash", "bash"), nobody},
		{"trap 12: number", "- comm: [123, true]", process("123", "a"), "a"},
		{"trap 12: truth", "- comm: [123, true]", process("true", "a"), "a"},
		{"trap 12: as it is written", "- comm: [0x1F, 1_000, yes]", process("0x1F", "a"), "a"},
		{"trap 14: kernel thread", "- {cmdline: ['.+'], name: '{{.Comm}}'}", process("kthreadd"), nobody},
		{"trap 15: kernel thread", "- cmdline: ['.*']", process("kworker/0:1-events"), "kworker/0:1-events"},
		{"trap 16: one empty argument", nulls, process("nul", ""), "nul/./"},
		{"trap 16: kernel thread", nulls, process("kthreadd"), "kthreadd/kthreadd/kthreadd"},
		{"trap 17: joined by spaces", captured, process("python3", "python3", "-m", "http.server", "--path", "/a b"), "/a b"},
		{"trap 18: argv[0] is part of it", "- cmdline: ['^java']", process("java", "/usr/bin/java"), nobody},
		{"trap 19: first rule", nginxes, process("nginx", "nginx"), "a"},
		{"trap 19: second rule", nginxes, process("java", "java"), "b"},
		{"trap 20: both", "- {exe: [java], cmdline: [foo]}", process("java", "java", "foo"), "java"},
		{"trap 20: one", "- {exe: [java], cmdline: [foo]}", process("java", "java", "bar"), nobody},
		{"trap 20: other", "- {exe: [java], cmdline: [foo]}", process("sh", "sh", "foo"), nobody},
		{"trap 21: later captures override", override, process("java", "java -jar b.jar"), "-jar"},
		{"trap 72: odd name", "- comm: ['a) R 1 (b']", process("a) R 1 (b", "x"), "x"},
		{"all of cmdline", "- {name: x, cmdline: [a, b]}", process("p", "a"), nobody},
		{"case", "- comm: [Java]", process("java", "java"), nobody},
		{"null is absent", "- {name: x, comm: , exe: ~, cmdline: [.]}", process("java", "java"), "x"},
		{"captures of a rule that failed", "- {comm: [java], cmdline: ['(?P<a>j)', no]}\n- {comm: [java], name: '{{.Matches}}'}",
			process("java", "java"), "map[]"},
		{"bytes", "- {comm: [!!binary Y2Fm6Q==], name: x}", process("caf\xe9", "a"), "x"},
		{"no rules", "", process("java", "java"), nobody},
	})
}

// TestCommandLineIsJoinedOnce guards that rules share the joined command line,
// which may have megabytes.
func TestCommandLineIsJoinedOnce(t *testing.T) {
	s := candidate{id: process("java", "java", "-jar")}
	if s.commandLine() != "java -jar" {
		t.Fatalf("got %q", s.commandLine())
	}
	if n := testing.AllocsPerRun(10, func() { s.commandLine() }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestDefault(t *testing.T) {
	c := Default()
	if got := groupOf(c, process("java", "/usr/bin/java", "-jar")); got != "java" {
		t.Errorf("got group %q, want java", got)
	}
	if got := groupOf(c, process("kthreadd")); got != nobody {
		t.Errorf("got group %q for a kernel thread, want none", got)
	}
	if c.Needs() != platform.IdentityArgs || len(c.Warnings()) != 0 {
		t.Errorf("got needs %b, warnings %v", c.Needs(), c.Warnings())
	}
}

func TestNeeds(t *testing.T) {
	const args, user, cgroups = platform.IdentityArgs, platform.IdentityUser, platform.IdentityCgroups
	const exe, ancestors = platform.IdentityExe, platform.IdentityAncestors
	const all = args | user | cgroups | exe | ancestors
	tests := []struct {
		name, rules string
		want        platform.IdentityFields
	}{
		{"no rules", "", 0},
		{"comm alone", "- {comm: [a], name: '{{.Comm}} {{.PID}} {{.StartTime.Unix}}'}", 0},
		{"default name", "- comm: [a]", args},
		{"exe", "- {exe: [a], name: x}", args},
		{"cmdline", "- {cmdline: [a], name: x}", args},
		{"user", "- {comm: [a], name: '{{.Username}}'}", user},
		{"any rule", "- {comm: [a], name: '{{.Username}}'}\n- {comm: [b], name: '{{.Cgroups}}'}", user | cgroups},
		{"in a condition", "- {comm: [a], name: '{{if eq .Username \"root\"}}r{{else}}{{index .Cgroups 0}}{{end}}'}", user | cgroups},
		{"in with and else", "- {comm: [a], name: '{{with .PID}}p{{else}}{{.Username}}{{end}}'}", user},
		{"by dollar", "- {comm: [a], name: '{{with .PID}}{{$.Username}}{{end}}'}", user},
		{"in brackets", "- {comm: [a], name: '{{(print .Cgroups)}}'}", cgroups},
		{"field of brackets", "- {comm: [a], name: '{{($).ExeFull}}'}", all},
		{"in a definition", "- {comm: [a], name: '{{define \"u\"}}{{.Username}}{{end}}{{template \"u\" .}}'}", all},
		{"bare dot", "- {comm: [a], name: '{{.}}'}", all},
		{"bare dollar", "- {comm: [a], name: '{{$}}'}", all},
		{"by path and parent", "- {exe_path: [/a], name: '{{.Parent}}'}", exe | ancestors},
		{"in a label", "- {comm: [a], name: x, labels: {u: '{{.Username}}', c: '{{.ContainerID}}'}}", user | cgroups},
		{"refused", "- {comm: [a], name: x, not: {user: [root], ancestor: [b]}}", user | ancestors},
		{"unit", "- {unit: [a.service], name: '{{.Slice}}'}", cgroups},
		{"variable", "- {comm: [a], name: '{{$x := .PID}}{{$x}}'}", 0},
		{"variable of all", "- {comm: [a], name: '{{$x := .}}{{$x.PID}}'}", all},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mustParse(t, "process_names:\n"+tt.rules).Needs(); got != tt.want {
				t.Errorf("got %b, want %b", got, tt.want)
			}
		})
	}
}

package grouping

import (
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// noGroup is the result of groupOf for a process without a group. The names in these
// tests contain no newline.
const noGroup = "\n"

// process returns the identity of a process with this name and command line.
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

// groupOf returns the name of the group of a process, or noGroup.
func groupOf(m Matcher, id *platform.Identity) string {
	got := m.Match(id)
	if !got.OK {
		return noGroup
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

// A matchTest has the rules below process_names, a process and its expected group.
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
	const emptyLine = "- {cmdline: ['^$'], name: '{{.Comm}}/{{.ExeBase}}/{{.ExeFull}}'}"
	const captured = "- {cmdline: ['--path (?P<p>.*)$'], name: '{{.Matches.p}}'}"
	const nginxes = "- {name: a, comm: [nginx]}\n- {name: b, comm: [nginx, java]}"
	const override = "- {cmdline: ['-jar (?P<x>\\S+)', 'java (?P<x>\\S+)'], name: '{{.Matches.x}}'}"
	runMatchTests(t, []matchTest{
		{"name of 16 bytes", "- comm: [process-exporter]", process("process-exporte", "x"), noGroup},
		{"truncated name", "- comm: [process-exporte]", process("process-exporte", "x"), "x"},
		{"exe and a process title", "- {exe: [nginx], name: '{{.ExeFull}}'}", process("nginx", "nginx: worker process"), noGroup},
		{"default name of a process title", "- comm: [nginx]", process("nginx", "nginx: worker process"), "nginx: worker process"},
		{"default name of a process title with a path", "- comm: [nginx]",
			process("nginx", "nginx: master process /usr/sbin/nginx -g daemon off;"), "nginx -g daemon off;"},
		{"exe matches the end of a process title", `- exe: ["0"]`, process("sshd", "sshd: bob@pts/0"), "0"},
		{"first of two paths", twoJavas, process("java", "/usr/bin/java"), "j"},
		{"second of two paths", twoJavas, process("java", "/opt/jdk/bin/java"), "j"},
		{"neither of two paths", twoJavas, process("java", "/bin/java"), noGroup},
		{"name before path", "- {name: j, exe: [java, /usr/bin/java]}", process("java", "/opt/jdk/bin/java"), "j"},
		{"path before name", "- {name: j, exe: [/usr/bin/java, java]}", process("java", "/opt/jdk/bin/java"), "j"},
		{"name and path, same path", "- {name: j, exe: [java, /usr/bin/java]}", process("java", "/usr/bin/java"), "j"},
		{"path and a bare name", "- exe: [/bin/sh]", process("sh", "sh"), noGroup},
		{"relative path", "- exe: [./sh]", process("sh", "./sh"), "sh"},
		{"empty cmdline list", "- {name: all, cmdline: []}", process("bash", "bash"), "all"},
		{"empty cmdline list, kernel thread", "- {name: all, cmdline: []}", process("kthreadd"), "all"},
		{"empty comm list", "- {name: x, comm: []}", process("bash", "bash"), noGroup},
		{"empty exe list", "- {name: x, exe: []}", process("bash", "bash"), noGroup},
		{"empty comm and cmdline lists", "- {name: x, comm: [], cmdline: []}", process("bash", "bash"), noGroup},
		{"number as an entry", "- comm: [123, true]", process("123", "a"), "a"},
		{"boolean as an entry", "- comm: [123, true]", process("true", "a"), "a"},
		{"number keeps its spelling", "- comm: [0x1F, 1_000, yes]", process("0x1F", "a"), "a"},
		{".+ and a kernel thread", "- {cmdline: ['.+'], name: '{{.Comm}}'}", process("kthreadd"), noGroup},
		{".* and a kernel thread", "- cmdline: ['.*']", process("kworker/0:1-events"), "kworker/0:1-events"},
		{"one empty argument", emptyLine, process("nul", ""), "nul/./"},
		{"name fields of a kernel thread", emptyLine, process("kthreadd"), "kthreadd/kthreadd/kthreadd"},
		{"arguments joined by spaces", captured, process("python3", "python3", "-m", "http.server", "--path", "/a b"), "/a b"},
		{"command line begins with argv[0]", "- cmdline: ['^java']", process("java", "/usr/bin/java"), noGroup},
		{"first of two matching rules", nginxes, process("nginx", "nginx"), "a"},
		{"second rule", nginxes, process("java", "java"), "b"},
		{"exe and cmdline match", "- {exe: [java], cmdline: [foo]}", process("java", "java", "foo"), "java"},
		{"only exe matches", "- {exe: [java], cmdline: [foo]}", process("java", "java", "bar"), noGroup},
		{"only cmdline matches", "- {exe: [java], cmdline: [foo]}", process("sh", "sh", "foo"), noGroup},
		{"later capture replaces an earlier one", override, process("java", "java -jar b.jar"), "-jar"},
		{"name with parentheses", "- comm: ['a) R 1 (b']", process("a) R 1 (b", "x"), "x"},
		{"one of two expressions", "- {name: x, cmdline: [a, b]}", process("p", "a"), noGroup},
		{"upper case", "- comm: [Java]", process("java", "java"), noGroup},
		{"null selector", "- {name: x, comm: , exe: ~, cmdline: [.]}", process("java", "java"), "x"},
		{"captures of an earlier rule", "- {comm: [java], cmdline: ['(?P<a>j)', no]}\n- {comm: [java], name: '{{.Matches}}'}",
			process("java", "java"), "map[]"},
		{"binary name", "- {comm: [!!binary Y2Fm6Q==], name: x}", process("caf\xe9", "a"), "x"},
		{"no rules", "", process("java", "java"), noGroup},
	})
}

// TestCommandLineIsJoinedOnce checks that rules share the joined command line, which may
// have megabytes.
func TestCommandLineIsJoinedOnce(t *testing.T) {
	c := candidate{id: process("java", "java", "-jar")}
	if c.commandLine() != "java -jar" {
		t.Fatalf("got %q, want %q", c.commandLine(), "java -jar")
	}
	if n := testing.AllocsPerRun(10, func() { c.commandLine() }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestDefault(t *testing.T) {
	c := Default()
	if got := groupOf(c, process("java", "/usr/bin/java", "-jar")); got != "java" {
		t.Errorf("got group %q, want java", got)
	}
	if got := groupOf(c, process("kthreadd")); got != noGroup {
		t.Errorf("got group %q for a kernel thread, want none", got)
	}
	if c.Needs() != platform.IdentityArgs || len(c.Warnings()) != 0 {
		t.Errorf("got fields %b and warnings %v, want fields %b and no warnings", c.Needs(), c.Warnings(), platform.IdentityArgs)
	}
}

func TestNeeds(t *testing.T) {
	const args, user, cgroups = platform.IdentityArgs, platform.IdentityUser, platform.IdentityCgroups
	const exe, ancestors, container = platform.IdentityExe, platform.IdentityAncestors, platform.IdentityContainer
	const all = args | user | cgroups | exe | ancestors | container
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
		{"in parentheses", "- {comm: [a], name: '{{(print .Cgroups)}}'}", cgroups},
		{"field of parentheses", "- {comm: [a], name: '{{($).ExeFull}}'}", all},
		{"in a definition", "- {comm: [a], name: '{{define \"u\"}}{{.Username}}{{end}}{{template \"u\" .}}'}", all},
		{"bare dot", "- {comm: [a], name: '{{.}}'}", all},
		{"bare dollar", "- {comm: [a], name: '{{$}}'}", all},
		{"executable path and parent", "- {exe_path: [/a], name: '{{.Parent}}'}", exe | ancestors},
		{"in a label", "- {comm: [a], name: x, labels: {u: '{{.Username}}', c: '{{.ContainerID}}'}}", user | cgroups},
		{"below not", "- {comm: [a], name: x, not: {user: [root], ancestor: [b]}}", user | ancestors},
		{"name of a container", "- {comm: [a], name: '{{.Pod}}'}", cgroups | container},
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

package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/testdata/proctree"
)

var update = flag.Bool("update", false, "write docs/troubleshooting.md")

// A complaint is something that users wonder about, and what the commands say.
type complaint struct {
	title  string
	says   string // what is seen, in a sentence or two
	config string // "" runs without a file
	procs  []proctree.Process
	args   []string // of the command
	remedy string
}

// someProcess returns a process of root, in the system's own control group.
func someProcess(pid, ppid int, comm string, args ...string) proctree.Process {
	return proctree.Process{PID: pid, PPID: ppid, Comm: comm, Args: args, Start: 1000, Cgroup: "0::/init.scope\n"}
}

// unitOf returns p in a unit of systemd, as a user.
func unitOf(p proctree.Process, unit string, uid uint32) proctree.Process {
	p.Cgroup, p.UIDs = "0::/system.slice/"+unit+"\n", [4]uint32{uid, uid, uid, uid}
	return p
}

func complaints() []complaint {
	explain := func(what string) []string { return []string{"explain", "--config.path", "config.yaml", what} }
	nginx := []proctree.Process{
		unitOf(someProcess(700, 1, "nginx", "nginx: master process /usr/sbin/nginx"), "nginx.service", 0),
		unitOf(someProcess(701, 700, "nginx", "nginx: worker process"), "nginx.service", 4033),
	}
	nginx[0].Exe, nginx[1].Exe = "/usr/sbin/nginx", "/usr/sbin/nginx"
	java := unitOf(someProcess(800, 1, "java", "/usr/bin/java", "-Xmx2g", "-jar", "/opt/shop/shop.jar"), "shop.service", 4077)
	java.Exe = "/usr/lib/jvm/21/bin/java"
	return []complaint{
		{"A group has no processes, or is not there", "The service was up, and its group shows 0 or is missing.",
			"process_names:\n- name: redis\n  comm: redis-server\n", nil, []string{"groups", "--config.path", "config.yaml", "--pause=0s"},
			"A rule with a fixed name has its group from the first scrape, so that 0 really means that nothing runs. `explain` finds no process to explain then. " +
				"A name with fields, such as `{{.Comm}}`, makes a group only when there is a process. To be alerted, give the rule `expect: {min: 1}`."},
		{"The name is longer than 15 characters", "`comm` never matches, although `ps -ef` shows the name.",
			"process_names:\n- name: me\n  comm: process-exporter\n", []proctree.Process{someProcess(600, 1, "process-exporte", "/usr/bin/process-exporter")}, explain("600"),
			"Linux keeps 15 bytes of a name. `check` warns of longer ones. Write `process-exporte`, or select by `exe`."},
		{"exe does not find a running program", "Workers that rewrite their command line are not in the group of their master.",
			"process_names:\n- name: nginx\n  exe: nginx\n", nginx, explain("701"),
			"`exe` is the first word of the command line, which for this worker is the sentence `nginx: worker process`. Select by `comm: nginx`, by the file that it runs, `exe_path: /usr/sbin/nginx`, or by `unit: nginx.service`."},
		{"A regular expression does not match", "It works in a tester, but not here.",
			"process_names:\n- name: shop\n  cmdline: '^java .*shop\\.jar$'\n", []proctree.Process{java}, explain("800"),
			"What the expression sees is all arguments, joined by single spaces, the first with its directory. Leave the `^` away, or write `exe: java` and an expression for the rest."},
		{"exe: ['.+'] wants nothing", "A rule that should catch everything catches nothing.",
			"process_names:\n- name: '{{.Comm}}'\n  exe: ['.+']\n", []proctree.Process{java}, explain("java"),
			"Only `cmdline` and `cgroup` hold regular expressions. A rule for everything is `cmdline: '.+'`."},
		{"A group has members that it should not have", "A shell that somebody has opened counts as sshd.",
			"process_names:\n- name: sshd\n  comm: sshd\n", []proctree.Process{someProcess(900, 1, "sshd", "sshd: bob@pts/0"), someProcess(901, 900, "bash", "-bash")}, explain("901"),
			"A process that no rule wants joins the group of its nearest ancestor that has one. `children: false` turns that off for a rule, `--children=false` for all; or give the shells a rule of their own."},
		{"A program started by a script is in the wrong group", "`sh start.sh` executes redis, and redis stays with the shells, or in no group.",
			"process_names:\n- name: redis\n  comm: redis-server\n- name: shells\n  comm: [sh, bash]\n", []proctree.Process{someProcess(850, 1, "sh", "/bin/sh", "/opt/start.sh"), someProcess(851, 850, "redis-server", "redis-server *:6379")}, explain("851"),
			"It does not stay there: a process that becomes another program, is renamed, or changes its user or control group, is looked at again at the next scrape, without `--recheck`."},
		{"Another rule was faster", "A rule further down wants the process, too.",
			"process_names:\n- name: '{{.Comm}}'\n  cmdline: '.+'\n- name: shop\n  cmdline: 'shop\\.jar'\n", []proctree.Process{java}, explain("800"),
			"The first rule that wants a process decides. Put the special ones before the general ones; `check` warns of rules that are never reached."},
		{"Something has to be left out", "RE2 has no lookahead, so an expression cannot exclude.",
			"process_names:\n- name: java\n  exe: java\n  not:\n    cmdline: '-jar \\S*/shop\\.jar'\n", []proctree.Process{java}, explain("800"),
			"`not` takes any selector, and each entry under it refuses. With `ignore: true` a whole rule keeps processes out of all groups."},
		{"User names are numbers", "`{{.Username}}` gives 4077 instead of a name.",
			"process_names:\n- name: '{{.Comm}} of {{.Username}}'\n  user: shop\n", []proctree.Process{java}, explain("800"),
			"The user is not in the `/etc/passwd` that the exporter sees, as in a container. Mount that of the host, or select by number: `user: '4077'`."},
		{"A kernel thread is in no group", "`kworker` and its likes do not show up under `cmdline: '.+'`.",
			"process_names:\n- name: '{{.Comm}}'\n  cmdline: '.+'\n", []proctree.Process{{PID: 30, PPID: 2, Comm: "kworker/0:1-events", Flags: 0x200000, Start: 100}}, explain("30"),
			"It has no command line. `cmdline: '.*'` or `comm: kthreadd`, whose children they are, wants them. In `namedprocess_unmatched_procs` they are counted."},
		{"What did the name template see?", "The group should be called after the jar, not after java.",
			"process_names:\n- name: '{{.App | default .ExeBase}} in {{.Unit}}'\n  exe: java\n  labels: {user: '{{.Username}}'}\n", []proctree.Process{java}, explain("800"),
			"`explain` prints everything that templates can use, also what no rule looks at."},
	}
}

// troubleshooting returns the manual's page. The commands run on trees that look
// like /proc, so that their answers are always the same.
func troubleshooting(t *testing.T) string {
	t.Helper()
	local := time.Local
	time.Local = time.UTC
	defer func() { time.Local = local }()
	var b strings.Builder
	b.WriteString(`# Troubleshooting: why is this process where it is?

This page is made by ` + "`make generate`" + `, which runs every command that it shows.

Ask. ` + "`process_exporter explain PID|NAME...`" + ` tells of a process what every rule wants and sees, whose child it is, and where
that puts it. It takes the flags of the exporter, needs none that runs, and changes nothing. ` + "`check`" + ` tells what is wrong
with a file and how many processes each rule wants here, ` + "`groups`" + ` what the groups use. [configuration.md](configuration.md)
describes the rules. Run them as root to see other users' processes as the exporter does.

`)
	for _, c := range complaints() {
		t.Chdir(t.TempDir())
		tree := proctree.New(t, 100_000)
		tree.Set(append([]proctree.Process{unitOf(someProcess(1, 0, "systemd", "/sbin/init"), "init.scope", 0)}, c.procs...)...)
		if err := os.WriteFile("config.yaml", []byte(c.config), 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		if status := run(context.Background(), append(c.args, "--procfs", tree.Root), &stdout, &stderr); status != 0 {
			t.Fatalf("%s: got status %d: %s", c.title, status, &stderr)
		}
		fmt.Fprintf(&b, "## %s\n\n%s\n\n```yaml\n%s```\n\n```console\n$ process_exporter %s\n%s```\n\n%s\n\n",
			c.title, c.says, c.config, strings.Join(c.args, " "), &stdout, c.remedy)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// TestTroubleshooting holds the page against what the commands say.
func TestTroubleshooting(t *testing.T) {
	file, err := filepath.Abs("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	want := troubleshooting(t)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("docs/troubleshooting.md differs from what the commands say, error %v; run `make generate`", err)
	}
}

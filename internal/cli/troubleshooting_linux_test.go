package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// A problem is a section of the page: what a user sees, a command that shows the
// cause, and the remedy.
type problem struct {
	title   string
	symptom string
	config  string
	procs   []procfstree.Process
	args    []string
	remedy  string
}

// newProcess returns a process of root, in the cgroup of init.
func newProcess(pid, ppid int, comm string, args ...string) procfstree.Process {
	return procfstree.Process{PID: pid, PPID: ppid, Comm: comm, Args: args, Start: 1000, Cgroup: "0::/init.scope\n"}
}

// inUnit returns p in a systemd unit, with this user ID.
func inUnit(p procfstree.Process, unit string, uid uint32) procfstree.Process {
	p.Cgroup, p.UIDs = "0::/system.slice/"+unit+"\n", [4]uint32{uid, uid, uid, uid}
	return p
}

// explain returns the arguments that explain a process.
func explain(target string) []string {
	return []string{"explain", "--config.path", "config.yaml", target}
}

// nginxProcesses returns a main process and a worker.
func nginxProcesses() []procfstree.Process {
	processes := []procfstree.Process{
		inUnit(newProcess(700, 1, "nginx", "nginx: master process /usr/sbin/nginx"), "nginx.service", 0),
		inUnit(newProcess(701, 700, "nginx", "nginx: worker process"), "nginx.service", 4033),
	}
	processes[0].Exe, processes[1].Exe = "/usr/sbin/nginx", "/usr/sbin/nginx"
	return processes
}

// javaProcess returns a Java service.
func javaProcess() []procfstree.Process {
	java := inUnit(newProcess(800, 1, "java", "/usr/bin/java", "-Xmx2g", "-jar", "/opt/shop/shop.jar"), "shop.service", 4077)
	java.Exe = "/usr/lib/jvm/21/bin/java"
	return []procfstree.Process{java}
}

var problems = []problem{
	{
		title:   "A group has no processes or is missing",
		symptom: "The service is running, but its group shows 0 or is missing.",
		config:  "process_names:\n- name: redis\n  comm: redis-server\n",
		args:    []string{"groups", "--config.path", "config.yaml", "--pause=0s"},
		remedy: "A rule with a fixed name has a group from the first scrape, which shows 0 if no process matches. " +
			"With `--remove-empty-groups`, only a rule with `expect` has such a group. " +
			"A name with template fields, such as `{{.Comm}}`, creates a group only for a matching process. " +
			"For an alert, add `expect: {min: 1}` to the rule.",
	},
	{
		title:   "The name is longer than 15 characters",
		symptom: "`comm` never matches, although `ps -ef` shows the name.",
		config:  "process_names:\n- name: me\n  comm: process-exporter\n",
		procs:   []procfstree.Process{newProcess(600, 1, "process-exporte", "/usr/bin/process-exporter")},
		args:    explain("600"),
		remedy:  "Linux keeps 15 bytes of a name. `check` warns about longer names. Use `comm: process-exporte`, or select by `exe`.",
	},
	{
		title: "exe does not match a running program",
		symptom: "The rule does not match worker processes that change their command line. They are in the group only as children: " +
			"`expect` does not count them, and with `--no-children` they are in no group.",
		config: "process_names:\n- name: nginx\n  exe: nginx\n",
		procs:  nginxProcesses(),
		args:   explain("701"),
		remedy: "`exe` is compared with argv[0], here `nginx: worker process`. " +
			"Select by name (`comm: nginx`), by executable (`exe_path: /usr/sbin/nginx`) or by unit (`unit: nginx.service`).",
	},
	{
		title:   "A regular expression does not match",
		symptom: "The expression works in a tester, but not in a rule.",
		config:  "process_names:\n- name: shop\n  cmdline: '^java .*shop\\.jar$'\n",
		procs:   javaProcess(),
		args:    explain("800"),
		remedy: "The expression is compared with all arguments, joined by single spaces. argv[0] includes its directory here. " +
			"Remove the `^`, or use `exe: java` and an expression for the other arguments.",
	},
	{
		title:   "exe: ['.+'] matches nothing",
		symptom: "A rule with `exe: ['.+']` matches no process.",
		config:  "process_names:\n- name: '{{.Comm}}'\n  exe: ['.+']\n",
		procs:   javaProcess(),
		args:    explain("java"),
		remedy:  "Only `cmdline` and `cgroup` are regular expressions. Use `cmdline: '.+'` to match all processes with a command line.",
	},
	{
		title:   "A group has unexpected processes",
		symptom: "A login shell is in the group sshd.",
		config:  "process_names:\n- name: sshd\n  comm: sshd\n",
		procs:   []procfstree.Process{newProcess(900, 1, "sshd", "sshd: bob@pts/0"), newProcess(901, 900, "bash", "-bash")},
		args:    explain("901"),
		remedy: "A process that no rule matches joins the group of its nearest ancestor that has a group. " +
			"To exclude such processes, use `children: false` in the rule or `--children=false` for all rules, or add a rule for the shells.",
	},
	{
		title:   "A program that a script starts is in the wrong group",
		symptom: "`sh start.sh` starts redis. Right after the start, redis is still in the group of the shells.",
		config:  "process_names:\n- name: redis\n  comm: redis-server\n- name: shells\n  comm: [sh, bash]\n",
		procs: []procfstree.Process{
			newProcess(850, 1, "sh", "/bin/sh", "/opt/start.sh"),
			newProcess(851, 850, "redis-server", "redis-server *:6379"),
		},
		args: explain("851"),
		remedy: "The group changes at the next scrape. `explain` shows the group that the process will then have. " +
			"After exec, a rename, or a change of arguments, user or cgroup, the rules are applied again. " +
			"`--recheck` is not necessary.",
	},
	{
		title:   "An earlier rule matches first",
		symptom: "The process matches two rules and is in the wrong group.",
		config:  "process_names:\n- name: '{{.Comm}}'\n  cmdline: '.+'\n- name: shop\n  cmdline: 'shop\\.jar'\n",
		procs:   javaProcess(),
		args:    explain("800"),
		remedy: "The first rule that matches determines the group. Put specific rules before general rules. " +
			"`check` warns about rules that are never reached.",
	},
	{
		title:   "Exclude processes from a rule",
		symptom: "RE2 has no negative lookahead. Use `not`.",
		config:  "process_names:\n- name: java\n  exe: java\n  not:\n    cmdline: '-jar \\S*/shop\\.jar'\n",
		procs:   javaProcess(),
		args:    explain("800"),
		remedy: "`not` accepts all selectors. A process that matches any entry is excluded. " +
			"A rule with `ignore: true` excludes its processes from all groups.",
	},
	{
		title:   "User names are numbers",
		symptom: "`{{.Username}}` is 4077 instead of a name.",
		config:  "process_names:\n- name: '{{.Comm}} of {{.Username}}'\n  user: shop\n",
		procs:   javaProcess(),
		args:    explain("800"),
		remedy: "The user is not in the `/etc/passwd` of the exporter, for example in a container or with LDAP or SSSD. " +
			"Mount the file of the host, or select by number: `user: '4077'`.",
	},
	{
		title:   "A kernel thread is in no group",
		symptom: "`cmdline: '.+'` does not match `kworker` and other kernel threads.",
		config:  "process_names:\n- name: '{{.Comm}}'\n  cmdline: '.+'\n",
		procs:   []procfstree.Process{{PID: 30, PPID: 2, Comm: "kworker/0:1-events", Flags: 0x200000, Start: 100}},
		args:    explain("30"),
		remedy: "A kernel thread has no command line. `cmdline: '.*'` also matches processes with an empty command line. " +
			"`comm: kthreadd` matches the parent. Kernel threads then join its group as children. " +
			"`namedprocess_unmatched_procs` counts processes without a group.",
	},
	{
		title:   "Find the processes that are in no group",
		symptom: "`namedprocess_unmatched_procs` is not 0.",
		config:  "process_names:\n- name: nginx\n  comm: nginx\n",
		procs: append(nginxProcesses(), newProcess(900, 1, "sshd", "/usr/sbin/sshd", "-D"),
			inUnit(newProcess(910, 1, "python3", "/usr/bin/python3", "/opt/report.py", "--password=x"), "report.service", 0),
			procfstree.Process{PID: 30, PPID: 2, Comm: "kworker/0:1-events", Flags: 0x200000, Start: 100}),
		args: []string{"groups", "--unmatched", "--config.path", "config.yaml", "--pause=0s"},
		remedy: "The list is in descending order of CPU usage, which `--pause` measures. Secrets in command lines are masked. " +
			"The suggested rules contain at most 30 programs; append them to `process_names` as needed. `--json` prints JSON.",
	},
	{
		title:   "Name groups by jar, unit or user",
		symptom: "The group should have the name of the jar file, not `java`.",
		config:  "process_names:\n- name: '{{.App | default .ExeBase}}'\n  exe: java\n",
		procs:   javaProcess(),
		args:    explain("800"),
		remedy: "`explain` prints all values that templates can use, including values that no rule uses. " +
			"For the unit or the user, write `{{.Unit}}` or `{{.Username}}`.",
	},
}

// troubleshooting returns the text of the page. The commands run on copies of
// /proc, so that their output is always the same.
func troubleshooting(t *testing.T) string {
	t.Helper()
	local := time.Local
	time.Local = time.UTC
	defer func() { time.Local = local }()
	var b strings.Builder
	b.WriteString(`# Troubleshooting rules

<!-- made by make generate, with the output of all commands -->

<!-- not run: the output of these commands is below -->
` + "```sh" + `
process_exporter explain --config.path config.yaml nginx   # why is a process in this group?
process_exporter check config.yaml                         # is the file valid, and what do its rules match?
process_exporter groups --config.path config.yaml          # what do the groups use?
` + "```" + `

These commands accept the flags about rules, data source, memory and collectors. They need no running exporter and change nothing. Run
them as root to read the processes of other users. [configuration.md](configuration.md) describes the rules.

Other problems:

| Problem | See |
|---|---|
| I/O, PSS or USS is missing | [permissions.md](permissions.md#privileges-and-data) |
| BPF is not used | [sources.md](sources.md#why-bpf-is-not-used) |
| scrapes time out or are incomplete | [dashboards-alerts.md](dashboards-alerts.md#scrape-configuration), [performance.md](performance.md) |
| status 503 | [flags.md](flags.md#web): ` + "`--web.max-requests`" + ` |
| a reload failed | [configuration.md](configuration.md#reload) |
| too many series | [howto.md](howto.md#too-many-series) |

`)
	for _, p := range problems {
		t.Chdir(t.TempDir())
		tree := procfstree.New(t, 100_000)
		tree.Set(append([]procfstree.Process{inUnit(newProcess(1, 0, "systemd", "/sbin/init"), "init.scope", 0)}, p.procs...)...)
		if err := os.WriteFile("config.yaml", []byte(p.config), 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		if status := execute(context.Background(), append(p.args, "--procfs", tree.Root), &stdout, &stderr); status != 0 {
			t.Fatalf("%s: got status %d: %s", p.title, status, &stderr)
		}
		fmt.Fprintf(&b, "## %s\n\n%s\n\n```yaml\n%s```\n\n```console\n$ process_exporter %s\n%s```\n\n%s\n\n",
			p.title, p.symptom, p.config, strings.Join(p.args, " "), &stdout, p.remedy)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// TestTroubleshooting compares docs/troubleshooting.md with the output of the
// commands.
func TestTroubleshooting(t *testing.T) {
	file, err := filepath.Abs("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	testenv.CheckGenerated(t, file, troubleshooting(t))
}

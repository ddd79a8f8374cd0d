package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform"
)

var updatePermissions = flag.Bool("update-permissions", false, "write what each set of capabilities sees into docs/permissions.md")

// A sight is a column of the table, and the text of a sample that shows it.
type visibleData struct{ column, sample string }

// sights are what the exporter may see of a process of another user.
var visibleDataColumns = []visibleData{
	{"CPU, states, start", `namedprocess_namegroup_cpu_seconds_total{groupname="aim",mode="user"}`},
	{"resident, swap", `namedprocess_namegroup_memory_bytes{groupname="aim",memtype="resident"}`},
	{"open files", `namedprocess_namegroup_open_filedesc{groupname="aim"}`},
	{"threads", `namedprocess_namegroup_thread_cpu_seconds_total{groupname="aim",mode="user"`},
	{"I/O", `namedprocess_namegroup_read_bytes_total{groupname="aim"}`},
	{"PSS, USS", `namedprocess_namegroup_memory_bytes{groupname="aim",memtype="proportionalResident"}`},
	{"wait channels", `namedprocess_namegroup_threads_wchan{groupname="aim"`},
	{"exits", `namedprocess_namegroup_starts_total{groupname="aim"}`},
}

// A mode is a way to run the exporter that docs/permissions.md speaks of.
type runMode struct {
	user         string
	capabilities []uintptr // of root, all that it has
	source       string
	sandbox      string
	flags        []string // further ones
}

const (
	capPtrace  = uintptr(unix.CAP_SYS_PTRACE)
	capSearch  = uintptr(unix.CAP_DAC_READ_SEARCH)
	capPerfmon = uintptr(unix.CAP_PERFMON)
	capBPF     = uintptr(unix.CAP_BPF)
)

func runModes() []runMode {
	return []runMode{
		{"a user", nil, "procfs", "auto", nil},
		{"a user", []uintptr{capPerfmon}, "procfs", "auto", nil},
		{"a user", []uintptr{capPerfmon}, "procfs", "strict", nil},
		{"a user", []uintptr{capPtrace, capSearch}, "procfs", "auto", nil},
		{"a user", []uintptr{capPtrace, capSearch}, "procfs", "strict", nil},
		{"a user", []uintptr{capBPF, capPerfmon}, "bpf", "auto", nil},
		{"a user", []uintptr{capBPF, capPerfmon, capPtrace, capSearch}, "bpf", "auto", nil},
		{"root", nil, "procfs", "auto", nil},
		{"root", []uintptr{capPtrace, capSearch}, "procfs", "auto", nil},
		{"root", allCapabilities, "procfs", "off", nil},
		{"root", allCapabilities, "procfs", "auto", nil},
		{"root", allCapabilities, "procfs", "strict", nil},
		{"root", allCapabilities, "bpf", "off", nil},
		{"root", allCapabilities, "bpf", "auto", nil},
		{"root", allCapabilities, "bpf", "auto", []string{"--no-threads"}},
		{"root", allCapabilities, "bpf", "auto", []string{"--no-threads", "--no-gather-smaps"}},
		{"root", allCapabilities, "bpf", "strict", nil},
	}
}

// all stands for every capability.
var allCapabilities = []uintptr{unix.CAP_LAST_CAP + 1}

var capabilityNames = map[uintptr]string{capPtrace: "sys_ptrace", capSearch: "dac_read_search", capPerfmon: "perfmon", capBPF: "bpf", allCapabilities[0]: "all"}

func (m runMode) given() string {
	var names []string
	for _, c := range m.capabilities {
		names = append(names, "`"+strings.ToUpper(capabilityNames[c])+"`")
	}
	if names == nil {
		return "none"
	}
	return strings.ReplaceAll(strings.Join(names, " "), "`ALL`", "all")
}

func (m runMode) line() string {
	return "`" + strings.Join(append([]string{"--source=" + m.source, "--sandbox=" + m.sandbox}, m.flags...), " ") + "`"
}

// command returns how to start the exporter in this mode.
func (m runMode) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program := executableCopy(t)
	args = append(append(args, "--source="+m.source, "--sandbox="+m.sandbox), m.flags...)
	if m.user != "root" {
		command := exec.Command(program, args...)
		command.SysProcAttr = unprivileged(m.capabilities...)
		return command
	}
	if slices.Equal(m.capabilities, allCapabilities) {
		return exec.Command(program, args...)
	}
	bounding := "-all"
	for _, c := range m.capabilities {
		bounding += ",+" + capabilityNames[c]
	}
	setpriv := requireProgram(t, "setpriv")
	return exec.Command(setpriv, append([]string{"--inh-caps=-all", "--bounding-set=" + bounding, "--", program}, args...)...)
}

// TestPermissions runs the exporter in each way that docs/permissions.md speaks
// of, beside a process of another user, and compares what it sees, which
// capabilities it keeps, and how it is locked up, with the table there.
func TestPermissions(t *testing.T) {
	requireLinux(t)
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		t.Skip("this kernel does not describe its types, which the source bpf takes")
	}
	if platform.SmapsNeedsPtrace() {
		t.Skip("the documented table is that of newer kernels")
	}
	config := startTarget(t)
	var table strings.Builder
	table.WriteString("| Run as | Given | Flags | Holds | Layers |")
	for _, s := range visibleDataColumns {
		table.WriteString(" " + s.column + " |")
	}
	table.WriteString("\n|---|---|---|---|---" + strings.Repeat("|---", len(visibleDataColumns)) + "|\n")
	for _, m := range runModes() {
		r := startReady(t, m.command(t, withListener([]string{"--config.path=" + config})...))
		r.Scrape() // threads count from the first on
		text := r.Scrape()
		m.checkStatus(t, r.PID)
		m.checkMissing(t, r.PID, text)
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |", m.user, m.given(), m.line(), heldCapabilities(t, r.PID), sandboxLayers(text))
		for _, s := range visibleDataColumns {
			table.WriteString(" " + map[bool]string{true: "yes", false: "no"}[strings.Contains(text, s.sample)] + " |")
		}
		table.WriteString("\n")
		if !strings.Contains(text, "namedprocess_exporter_scrape_success 1\n") {
			t.Errorf("%+v: the scrape failed", m)
		}
		r.Stop()
	}
	comparePermissions(t, table.String())
}

var capEffLine = regexp.MustCompile(`(?m)^CapEff:\t([0-9a-f]{16})$`)

// holds names the capabilities that a process has in effect.
func heldCapabilities(t *testing.T, pid int) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var bits uint64
	if _, err := fmt.Sscanf(string(capEffLine.FindSubmatch(status)[1]), "%x", &bits); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range []uintptr{capBPF, capPerfmon, capPtrace, capSearch} {
		if bits>>c&1 != 0 {
			names = append(names, "`"+strings.ToUpper(capabilityNames[c])+"`")
			bits &^= 1 << c
		}
	}
	switch {
	case bits != 0:
		return "all"
	case names == nil:
		return "none"
	}
	return strings.Join(names, " ")
}

// statusLine finds what the kernel says of the rights of a process or thread.
var statusLine = regexp.MustCompile(`(?m)^(Cap\w\w\w|NoNewPrivs|Seccomp):\t(\w+)$`)

// checkStatus compares what each thread of the exporter may do with what the page
// says of the layers: nothing beyond what is in effect is permitted, can be inherited
// or is ambient; root's bounding set has nothing else; no program could gain rights;
// a filter is in force. A user cannot change a bounding set, and no_new_privs makes it
// no matter. Without the sandbox all is as it was given.
func (m runMode) checkStatus(t *testing.T, pid int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("got threads %q, error %v", threads, err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if os.IsNotExist(err) { // it has ended since
			continue
		}
		if m.user != "root" && m.sandbox != "off" {
			m.checkOwner(t, thread)
		}
		got := statusFields(text)
		want := map[string]string{"CapPrm": got["CapEff"], "CapInh": none, "CapAmb": none, "NoNewPrivs": "1", "Seccomp": "2"}
		if m.user == "root" {
			want["CapBnd"] = got["CapEff"]
		}
		if m.sandbox == "off" {
			own, err := os.ReadFile("/proc/self/status")
			if err != nil {
				t.Fatal(err)
			}
			want = statusFields(own)
		}
		for field, value := range want {
			if got[field] != value {
				t.Errorf("%+v: %s: got %s %q, want %q", m, thread, field, got[field], value)
			}
		}
	}
}

// protected are the data that take capabilities, by the page, and the columns of
// the table that show them.
var protectedData = []struct {
	data, column string
	takes        []uintptr
	off          string // the flag with which they are not wanted
	file         string // that is not readable without; "" where the kernel answers as if nobody waited
}{
	{"io", "I/O", []uintptr{capPtrace, capSearch}, "", "io"},
	{"proportional_memory", "PSS, USS", []uintptr{capPerfmon}, "--no-gather-smaps", "smaps"},
	{"wait_channels", "wait channels", []uintptr{capPtrace}, "--no-threads", ""},
}

var capabilityMissing = regexp.MustCompile(`(?m)^namedprocess_exporter_capability_missing{capability="(\w+)",data="([^"]+)"} 1$`)

// checkMissing compares what the exporter says that it cannot read for want of a
// capability with what a scrape lacks: each capability that the data take and that
// is not held is named, and nothing else.
func (m runMode) checkMissing(t *testing.T, pid int, text string) {
	t.Helper()
	var got, want []string
	for _, match := range capabilityMissing.FindAllStringSubmatch(text, -1) {
		got = append(got, match[1]+" for "+match[2])
	}
	held := heldCapabilities(t, pid)
	for _, d := range protectedData {
		at := slices.IndexFunc(visibleDataColumns, func(s visibleData) bool { return s.column == d.column })
		lacks := !strings.Contains(text, visibleDataColumns[at].sample) && !slices.Contains(m.flags, d.off)
		if told := strings.Contains(text, `namedprocess_namegroup_unreadable_procs{file="`+d.file+`",groupname="aim"}`); d.file != "" && told != lacks {
			t.Errorf("%+v: got %v that %s is unreadable, want %v", m, told, d.file, lacks)
		}
		for _, c := range d.takes {
			if name := strings.ToUpper(capabilityNames[c]); lacks && !strings.Contains(held, name) {
				want = append(want, "CAP_"+name+" for "+d.data)
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%+v: got missing %q, want %q", m, got, want)
	}
}

// checkOwner holds that a file of a process that is a user's belongs to root, which
// is how the kernel keeps others of that user out of one that is not dumpable.
func (m runMode) checkOwner(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		t.Errorf("%+v: %s: got owner %d, want root", m, path, uid)
	}
}

func statusFields(status []byte) map[string]string {
	rights := make(map[string]string)
	for _, line := range statusLine.FindAllStringSubmatch(string(status), -1) {
		rights[line[1]] = line[2]
	}
	return rights
}

// none is what the kernel writes of an empty set of capabilities.
const none = "0000000000000000"

// layersIn names the layers of the sandbox that a scrape tells of.
func sandboxLayers(text string) string {
	var names []string
	for _, match := range regexp.MustCompile(`namedprocess_exporter_sandbox{layer="(\w+)"} 1`).FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	switch {
	case names == nil:
		return "none"
	case slices.Contains(names, "landlock"):
		return "all"
	}
	return "all but Landlock"
}

// startAim starts a process of another user with several threads, which is an
// exporter, and returns a configuration that knows it.
func startTarget(t *testing.T) (config string) {
	t.Helper()
	command := exec.Command(executableCopy(t), withListener([]string{"--source=procfs", "--sandbox=off", "--web.telemetry-path=/aim"})...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65533, Gid: 65533}}
	startReady(t, command)
	config = filepath.Join(filepath.Dir(command.Path), "rules.yaml") // where all may read it
	if err := os.WriteFile(config, []byte("process_names: [{name: aim, cmdline: ['path=/aim']}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return config
}

// comparePermissions compares the table in docs/permissions.md with what was seen.
func comparePermissions(t *testing.T, table string) {
	t.Helper()
	const page, begin, end = "docs/permissions.md", "<!-- begin: what is seen -->\n", "<!-- end: what is seen -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	documented, after, ends := strings.Cut(rest, end)
	if !found || !ends {
		t.Fatalf("%s: no %q and %q", page, begin, end)
	}
	if documented == table {
		return
	}
	if !*updatePermissions {
		t.Errorf("%s: documents\n%s\nwe saw\n%s\nrun go test ./test/e2e -run TestPermissions -update-permissions if it should", page, documented, table)
		return
	}
	if err := os.WriteFile(page, []byte(before+begin+table+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

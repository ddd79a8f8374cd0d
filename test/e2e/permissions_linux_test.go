package e2e

import (
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
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// A visibleData is a column of the table, and the sample that proves it.
type visibleData struct{ column, sample string }

// visibleDataColumns are the data that the exporter can read of a process of another user.
var visibleDataColumns = []visibleData{
	{"CPU, states, start", `namedprocess_namegroup_cpu_seconds_total{groupname="target",mode="user"}`},
	{"resident, swap", `namedprocess_namegroup_memory_bytes{groupname="target",memtype="resident"}`},
	{"open files", `namedprocess_namegroup_open_filedesc{groupname="target"}`},
	{"threads", `namedprocess_namegroup_thread_cpu_seconds_total{groupname="target",mode="user"`},
	{"I/O", `namedprocess_namegroup_read_bytes_total{groupname="target"}`},
	{"PSS, USS", `namedprocess_namegroup_memory_bytes{groupname="target",memtype="proportionalResident"}`},
	{"wait channels", `namedprocess_namegroup_threads_wchan{groupname="target"`},
	{"exits", `namedprocess_namegroup_starts_total{groupname="target"}`},
}

const permissionsPage = "docs/permissions.md"

// A runMode is one of the ways to run the exporter in docs/permissions.md.
type runMode struct {
	user         string
	capabilities []uintptr // as root: the bounding set
	source       string
	sandbox      string
	flags        []string // additional flags
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

// allCapabilities means every capability.
var allCapabilities = []uintptr{unix.CAP_LAST_CAP + 1}

var capabilityNames = map[uintptr]string{capPtrace: "sys_ptrace", capSearch: "dac_read_search", capPerfmon: "perfmon", capBPF: "bpf",
	allCapabilities[0]: "all"}

func (m runMode) capabilityList() string {
	var names []string
	for _, c := range m.capabilities {
		names = append(names, "`"+strings.ToUpper(capabilityNames[c])+"`")
	}
	if names == nil {
		return "none"
	}
	return strings.ReplaceAll(strings.Join(names, " "), "`ALL`", "all")
}

func (m runMode) flagList() string {
	return "`" + strings.Join(append([]string{"--source=" + m.source, "--sandbox=" + m.sandbox}, m.flags...), " ") + "`"
}

// runModeHeadings returns the headings of the cells of a runMode.
func runModeHeadings() []string { return []string{"Run as", "Given", "Flags"} }

// cells returns the first cells of the table row of a mode.
func (m runMode) cells() []string { return []string{m.user, m.capabilityList(), m.flagList()} }

// command returns the command that starts the exporter in this mode.
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
	setpriv := testenv.RequireProgram(t, "setpriv")
	return exec.Command(setpriv, append([]string{"--inh-caps=-all", "--bounding-set=" + bounding, "--", program}, args...)...)
}

// requireDocumentedPermissions skips a test of the tables in docs/permissions.md without root, and
// on a kernel for which they are not.
func requireDocumentedPermissions(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("requires root: changes the user")
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		t.Skip("the bpf source requires a kernel with BTF")
	}
	if platform.SmapsNeedsPtrace() {
		t.Skip("the documented table is for newer kernels")
	}
}

// TestPermissions runs the exporter in each mode of docs/permissions.md next to a process of another
// user. It compares visible data, held capabilities and sandbox layers with the table of the page.
func TestPermissions(t *testing.T) {
	requireDocumentedPermissions(t)
	config := startTarget(t)
	headings := append(runModeHeadings(), "Holds", "Layers")
	for _, s := range visibleDataColumns {
		headings = append(headings, s.column)
	}
	var rows [][]string
	for _, m := range runModes() {
		r := startReady(t, m.command(t, withListener([]string{"--config.path=" + config})...))
		r.Scrape() // threads are exported from the second scrape on
		text := r.Scrape()
		m.checkStatus(t, r.PID)
		m.checkMissing(t, r.PID, text)
		row := append(m.cells(), heldCapabilities(t, r.PID), sandboxLayers(text))
		for _, s := range visibleDataColumns {
			row = append(row, testenv.YesOrNo(strings.Contains(text, s.sample)))
		}
		rows = append(rows, row)
		if !strings.Contains(text, "namedprocess_exporter_scrape_success 1\n") {
			t.Errorf("%+v: the scrape failed", m)
		}
		r.Stop()
	}
	testenv.CheckGeneratedSection(t, permissionsPage, "what is seen", testenv.MarkdownTable(headings, rows))
}

var capEffLine = regexp.MustCompile(`(?m)^CapEff:\t([0-9a-f]{16})$`)

// heldCapabilities returns the effective capabilities of a process.
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

// statusLine matches the credentials in /proc/PID/status.
var statusLine = regexp.MustCompile(`(?m)^(Cap\w\w\w|NoNewPrivs|Seccomp):\t(\w+)$`)

// checkStatus compares the credentials of each thread of the exporter with the documented sandbox: the
// permitted set equals the effective set; the inheritable and ambient sets are empty; the bounding set
// of root equals the effective set; no_new_privs is set; a seccomp filter is active. Only root can
// change the bounding set, which no_new_privs makes irrelevant. With --sandbox=off the credentials are
// those of the test.
func (m runMode) checkStatus(t *testing.T, pid int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("got threads %q, error %v", threads, err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if os.IsNotExist(err) { // it has exited
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

// protectedData lists the data that require capabilities, and their columns in the table.
var protectedData = []struct {
	data, column string
	capabilities []uintptr
	off          string // flag that disables the data
	file         string // that is unreadable without the capabilities; "" if the kernel returns an empty value instead of an error
}{
	{"io", "I/O", []uintptr{capPtrace, capSearch}, "", "io"},
	{"proportional_memory", "PSS, USS", []uintptr{capPerfmon}, "--no-gather-smaps", "smaps"},
	{"wait_channels", "wait channels", []uintptr{capPtrace}, "", ""},
}

var capabilityMissing = regexp.MustCompile(`(?m)^namedprocess_exporter_capability_missing{capability="(\w+)",data="([^"]+)"} 1$`)

// checkMissing compares the metric of missing capabilities with the data that a scrape lacks: each
// required capability that the exporter does not hold is reported, and no other.
func (m runMode) checkMissing(t *testing.T, pid int, text string) {
	t.Helper()
	var got, want []string
	for _, match := range capabilityMissing.FindAllStringSubmatch(text, -1) {
		got = append(got, match[1]+" for "+match[2])
	}
	held := heldCapabilities(t, pid)
	for _, d := range protectedData {
		at := slices.IndexFunc(visibleDataColumns, func(s visibleData) bool { return s.column == d.column })
		missing := !strings.Contains(text, visibleDataColumns[at].sample) && !slices.Contains(m.flags, d.off)
		if reported := strings.Contains(text, `namedprocess_namegroup_unreadable_procs{file="`+d.file+`",groupname="target"}`); d.file != "" &&
			reported != missing {
			t.Errorf("%+v: got unreadable %v for %s, want %v", m, reported, d.file, missing)
		}
		for _, c := range d.capabilities {
			if name := strings.ToUpper(capabilityNames[c]); missing && !strings.Contains(held, name) {
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

// checkOwner checks that a /proc file of an unprivileged exporter belongs to root. The kernel does
// that for a process that is not dumpable, to protect it from other processes of its user.
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

// none is an empty capability set in /proc/PID/status.
const none = "0000000000000000"

// sandboxLayers describes the active sandbox layers in a scrape.
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

// startTarget starts a process of another user with several threads, which is an exporter, and returns
// a configuration that groups it.
func startTarget(t *testing.T) (config string) {
	t.Helper()
	command := exec.Command(executableCopy(t), withListener([]string{"--source=procfs", "--sandbox=off"})...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65533, Gid: 65533}}
	startReady(t, command)
	config = filepath.Join(filepath.Dir(command.Path), "rules.yaml") // every user can read it there
	if err := os.WriteFile(config, []byte("process_names: [{name: target, user: ['65533']}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return config
}

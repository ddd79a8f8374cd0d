package deploy_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var updateProfiles = flag.Bool("update-profiles", false, "write what each container profile sees into docs/permissions.md")

// facts are what a profile may see of a process of another user: a column of
// the table, and the text of a sample that shows it.
var facts = []struct{ column, sample string }{
	{"CPU, states", `namedprocess_namegroup_cpu_seconds_total{groupname="container-aim"`},
	{"resident memory", `namedprocess_namegroup_memory_bytes{groupname="container-aim",memtype="resident"}`},
	{"open files", `namedprocess_namegroup_open_filedesc{groupname="container-aim"}`},
	{"I/O", `namedprocess_namegroup_read_bytes_total{groupname="container-aim"}`},
	{"proportional memory", `namedprocess_namegroup_memory_bytes{groupname="container-aim",memtype="proportionalResident"}`},
	{"ends by kernel", `namedprocess_namegroup_oom_kills_total`},
	{"unreadable", `namedprocess_namegroup_unreadable_procs{`},
}

// A profile is a way to run the image that docs/kubernetes.md offers.
type profile struct {
	name, source string
	options      []string
}

func containerProfiles() []profile {
	user, two := []string{"--user", "65534:65534"}, []string{"--cap-add", "SYS_PTRACE", "--cap-add", "DAC_READ_SEARCH"}
	bpf := []string{"--cap-add", "BPF", "--cap-add", "PERFMON", "--security-opt", "seccomp=unconfined"}
	join := func(lists ...[]string) (all []string) {
		for _, list := range lists {
			all = append(all, list...)
		}
		return all
	}
	return []profile{
		{"full", "procfs", join([]string{"--user", "0:0"}, two)},
		{"basic, both capabilities added", "procfs", join(user, two)},
		{"basic", "procfs", user},
		{"bpf", "bpf", join([]string{"--user", "0:0"}, two, bpf)},
	}
}

// TestContainerProfiles runs the image as it is documented, and compares what
// each profile sees of a process of another user with the documented table.
func TestContainerProfiles(t *testing.T) {
	e := newEngine(t)
	e.buildHere()
	startTarget(t)
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		unable(t, "the kernel does not describe its types, which the profile bpf takes: %v", err)
	}
	var table strings.Builder
	table.WriteString("| Profile |")
	for _, f := range facts {
		table.WriteString(" " + f.column + " |")
	}
	table.WriteString("\n|---" + strings.Repeat("|---", len(facts)) + "|\n")
	for _, p := range containerProfiles() {
		text := e.run(p.options, "--once-to-stdout-delay=10ms", "--procnames=container-aim", "--source="+p.source)
		fmt.Fprintf(&table, "| %s |", p.name)
		for _, f := range facts {
			table.WriteString(" " + map[bool]string{true: "yes", false: "no"}[strings.Contains(text, f.sample)] + " |")
		}
		table.WriteString("\n")
	}
	compareTable(t, table.String())
	t.Run("health check", func(t *testing.T) {
		address := startExporter(t)
		if text := e.run([]string{"--user", "65534:65534"}, "--health-check", "--web.listen-address="+address); !strings.Contains(text, "200") {
			t.Errorf("got %q", text)
		}
	})
}

// TestFileCapabilitiesWithoutAmbient runs the program without ambient
// capabilities, as in Kubernetes: only those of its file are left to raise.
func TestFileCapabilitiesWithoutAmbient(t *testing.T) {
	program := exporterPath(t)
	if os.Getuid() != 0 {
		t.Skip("to give a file capabilities takes root")
	}
	startTarget(t)
	copied := buildDir + "/with-capabilities"
	if err := os.WriteFile(copied, []byte(read(t, program)), 0o755); err != nil {
		t.Fatal(err)
	}
	mustOutput(t, need(t, "setcap"), fileCapabilities(t), copied)
	once := []string{"--once-to-stdout-delay=10ms", "--procnames=container-aim", "--source=procfs"}
	const io = `namedprocess_namegroup_read_bytes_total{groupname="container-aim"}`
	asNobody := []string{"--reuid=65534", "--regid=65534", "--clear-groups"}
	for name, tt := range map[string]struct {
		options []string
		sees    bool
	}{
		"in the bounding set": {nil, true},
		"not in it":           {[]string{"--bounding-set=-all"}, false},
	} {
		args := append(append(append(append([]string{}, asNobody...), tt.options...), copied), once...)
		if text := mustOutput(t, need(t, "setpriv"), args...); strings.Contains(text, io) != tt.sees {
			t.Errorf("%s: reads I/O: %v, want %v\n%s", name, !tt.sees, tt.sees, text)
		}
	}
}

// compareTable compares the table in docs/permissions.md with what was seen.
func compareTable(t *testing.T, table string) {
	t.Helper()
	const page, begin, end = "../docs/permissions.md", "<!-- begin: what profiles see -->\n", "<!-- end: what profiles see -->"
	text := read(t, page)
	before, rest, found := strings.Cut(text, begin)
	documented, after, ends := strings.Cut(rest, end)
	if !found || !ends {
		t.Fatalf("%s: no %q and %q", page, begin, end)
	}
	if documented == table {
		return
	}
	if !*updateProfiles {
		t.Errorf("%s: documents\n%s\nthe image shows\n%s\nrun go test ./deploy -run TestContainerProfiles -update-profiles if it should", page, documented, table)
		return
	}
	if err := os.WriteFile(page, []byte(before+begin+table+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

package deploy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// visibleData are the columns of the table: data of a process of another user, and
// a sample that a scrape contains if the profile can read the data.
var visibleData = []struct{ column, sample string }{
	{"CPU, states", `namedprocess_namegroup_cpu_seconds_total{groupname="profile-target"`},
	{"resident memory", `namedprocess_namegroup_memory_bytes{groupname="profile-target",memtype="resident"}`},
	{"open files", `namedprocess_namegroup_open_filedesc{groupname="profile-target"}`},
	{"I/O", `namedprocess_namegroup_read_bytes_total{groupname="profile-target"}`},
	{"proportional memory", `namedprocess_namegroup_memory_bytes{groupname="profile-target",memtype="proportionalResident"}`},
	{"OOM kills", `namedprocess_namegroup_oom_kills_total`},
	{"unreadable", `namedprocess_namegroup_unreadable_procs{`},
}

// A profile is a set of privileges for the image, as in docs/kubernetes.md.
type profile struct {
	name, source string
	options      []string
}

func containerProfiles() []profile {
	user, caps := []string{"--user", "65534:65534"}, []string{"--cap-add", "SYS_PTRACE", "--cap-add", "DAC_READ_SEARCH"}
	bpf := []string{"--cap-add", "BPF", "--cap-add", "PERFMON", "--security-opt", "seccomp=unconfined"}
	join := func(lists ...[]string) (all []string) {
		for _, list := range lists {
			all = append(all, list...)
		}
		return all
	}
	return []profile{
		{"full", "procfs", join([]string{"--user", "0:0"}, caps)},
		{"basic, both capabilities added", "procfs", join(user, caps)},
		{"basic", "procfs", user},
		{"bpf", "bpf", join([]string{"--user", "0:0"}, caps, bpf)},
	}
}

// TestContainerProfiles runs the image with each profile, and compares the data that
// it can read of a process of another user with the table in docs/permissions.md.
func TestContainerProfiles(t *testing.T) {
	e := newEngine(t)
	e.buildHere()
	startTarget(t)
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		skipOrFail(t, "the profile bpf requires BTF of the kernel: %v", err)
	}
	headings := []string{"Profile"}
	for _, f := range visibleData {
		headings = append(headings, f.column)
	}
	var rows [][]string
	for _, p := range containerProfiles() {
		text := e.run(p.options, "--once-to-stdout-delay=10ms", "--procnames=profile-target", "--source="+p.source)
		row := []string{p.name}
		for _, f := range visibleData {
			row = append(row, testenv.YesOrNo(strings.Contains(text, f.sample)))
		}
		rows = append(rows, row)
	}
	testenv.CheckGeneratedSection(t, "../docs/permissions.md", "container profiles", testenv.MarkdownTable(headings, rows))
	t.Run("health check", func(t *testing.T) {
		address := startExporter(t)
		if text := e.run([]string{"--user", "65534:65534"}, "--health-check", "--web.listen-address="+address); !strings.Contains(text, "200") {
			t.Errorf("got %q", text)
		}
	})
}

// TestFileCapabilitiesWithoutAmbient runs the program without ambient capabilities,
// as Kubernetes does: it can only raise its file capabilities.
func TestFileCapabilitiesWithoutAmbient(t *testing.T) {
	program := testenv.BuildExporter(t)
	if os.Getuid() != 0 {
		t.Skip("setcap requires root")
	}
	startTarget(t)
	copied := testenv.BuildDir() + "/with-capabilities"
	if err := os.WriteFile(copied, []byte(read(t, program)), 0o755); err != nil {
		t.Fatal(err)
	}
	mustOutput(t, testenv.RequireProgram(t, "setcap"), fileCapabilities(t), copied)
	once := []string{"--once-to-stdout-delay=10ms", "--procnames=profile-target", "--source=procfs"}
	const io = `namedprocess_namegroup_read_bytes_total{groupname="profile-target"}`
	asNobody := []string{"--reuid=65534", "--regid=65534", "--clear-groups"}
	for name, tt := range map[string]struct {
		options []string
		want    bool
	}{
		"in the bounding set": {nil, true},
		"not in the set":      {[]string{"--bounding-set=-all"}, false},
	} {
		args := append(append(append(append([]string{}, asNobody...), tt.options...), copied), once...)
		if text := mustOutput(t, testenv.RequireProgram(t, "setpriv"), args...); strings.Contains(text, io) != tt.want {
			t.Errorf("%s: got I/O %v, want %v\n%s", name, !tt.want, tt.want, text)
		}
	}
}

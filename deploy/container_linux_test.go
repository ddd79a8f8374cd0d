package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// An engine is podman with storage, runtime and policy of its own.
type engine struct {
	t     *testing.T
	flags []string
}

// newEngine builds the image of the Dockerfile's last stage from a program that
// is built here: the first stage takes an image from a registry.
func newEngine(t *testing.T) *engine {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds an image")
	}
	if os.Getuid() != 0 {
		t.Skip("containers here take root")
	}
	buildah := need(t, "buildah")
	need(t, "podman")
	need(t, "runc")
	_, last, found := strings.Cut(read(t, "../Dockerfile"), "\nFROM scratch\n")
	if !found {
		t.Fatal("no last stage in the Dockerfile")
	}
	last = strings.Replace(last, "COPY --from=build /process-exporter ", "COPY process-exporter ", 1)
	dockerfile := write(t, "Dockerfile", "FROM scratch\n"+last)
	context := filepath.Dir(dockerfile)
	program, err := os.ReadFile(exporterPath(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"process-exporter": program, "LICENSE": []byte(read(t, "../LICENSE"))} {
		if err := os.WriteFile(filepath.Join(context, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	policy := write(t, "policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`)
	t.Setenv("CONTAINERS_CONF", write(t, "containers.conf", "[engine]\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"none\"\nruntime=\"runc\"\n"))
	// Storage lives outside of t.TempDir, whose name is too long for sockets.
	dir, err := os.MkdirTemp(buildDir, "c")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{t, []string{"--root", dir + "/s", "--runroot", dir + "/r", "--storage-driver", "vfs"}}
	mustOutput(t, buildah, append(e.flags, "bud", "--signature-policy", policy, "--isolation", "chroot", "-t", "localhost/process-exporter", context)...)
	return e
}

// run runs the image and returns what it prints.
func (e *engine) run(options []string, args ...string) string {
	e.t.Helper()
	all := append(e.flags, "run", "--rm", "--network", "host", "--pid", "host", "--cap-drop", "all", "--read-only",
		"--security-opt", "no-new-privileges", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
	all = append(append(append(all, options...), "localhost/process-exporter"), args...)
	return mustOutput(e.t, "podman", all...)
}

// TestContainerProfiles runs the image as it is documented, and looks at what
// each profile sees of a process of another user.
func TestContainerProfiles(t *testing.T) {
	e := newEngine(t)
	startTarget(t)
	const io, pss = "namedprocess_namegroup_read_bytes_total{", `memtype="proportionalResident"`
	full := []string{"--user", "0:0", "--cap-add", "SYS_PTRACE", "--cap-add", "DAC_READ_SEARCH"}
	tests := []struct {
		name, source string
		options      []string
		sees, misses []string
	}{
		{"full", "procfs", full, []string{io, pss}, []string{`unreadable_procs{`}},
		{"basic", "procfs", []string{"--user", "65534:65534"}, []string{`unreadable_procs{file="io"`, `memtype="resident"`}, []string{io, pss}},
		{"bpf", "bpf", append(full, "--cap-add", "BPF", "--cap-add", "PERFMON", "--security-opt", "seccomp=unconfined"), []string{io, pss, `source_info{source="bpf"} 1`, "oom_kills_total"}, []string{`unreadable_procs{`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := os.Stat("/sys/kernel/btf/vmlinux"); tt.source == "bpf" && err != nil {
				t.Skip("the kernel does not describe its types, which the source bpf takes")
			}
			text := e.run(tt.options, "--once-to-stdout-delay=10ms", "--procnames=container-aim", "--source="+tt.source)
			for _, want := range tt.sees {
				if !strings.Contains(text, want) {
					t.Errorf("does not see %s in\n%s", want, text)
				}
			}
			for _, not := range tt.misses {
				if strings.Contains(text, not) {
					t.Errorf("sees %s", not)
				}
			}
		})
	}
	t.Run("health check", func(t *testing.T) {
		address := startExporter(t)
		if text := e.run([]string{"--user", "65534:65534"}, "--health-check", "--web.listen-address="+address); !strings.Contains(text, "200") {
			t.Errorf("got %q", text)
		}
	})
}

// startTarget starts a process of a user that no container runs as.
func startTarget(t *testing.T) {
	t.Helper()
	program, err := os.ReadFile(mustPath(t, "sleep"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(buildDir, "container-aim")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(buildDir, 0o755); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, "600")
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 1234}}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
}

func mustPath(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

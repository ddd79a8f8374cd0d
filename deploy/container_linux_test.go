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
	mustOutput(t, need(t, "setcap"), fileCapabilities(t), filepath.Join(context, "process-exporter"))
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

// fileCapabilities are those that the Dockerfile gives the program.
func fileCapabilities(t *testing.T) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, "../Dockerfile"), " setcap ")
	capabilities, _, ends := strings.Cut(rest, " /process-exporter\n")
	if !found || !ends || !strings.HasSuffix(capabilities, "+p") {
		t.Fatalf("the Dockerfile gives no permitted capabilities, but %q", capabilities)
	}
	return capabilities
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

package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// An engine is podman with separate storage, runtime and policy.
type engine struct {
	t     *testing.T
	flags []string
}

// newEngine returns an engine without an image.
func newEngine(t *testing.T) *engine {
	t.Helper()
	if testing.Short() {
		t.Skip("builds an image")
	}
	if os.Getuid() != 0 {
		t.Skip("containers require root")
	}
	testenv.RequireProgram(t, "buildah")
	testenv.RequireProgram(t, "podman")
	testenv.RequireProgram(t, "runc")
	testenv.RequireNamespaces(t)
	t.Setenv("CONTAINERS_CONF", write(t, "containers.conf", `[engine]
cgroup_manager="cgroupfs"
events_logger="none"
runtime="runc"
`))
	// The path of t.TempDir is too long for Unix sockets.
	dir, err := os.MkdirTemp(testenv.BuildDir(), "c")
	if err != nil {
		t.Fatal(err)
	}
	return &engine{t, []string{"--root", dir + "/s", "--runroot", dir + "/r", "--storage-driver", "vfs"}}
}

const image = "localhost/process-exporter"

// build builds the last stage of the Dockerfile from programs by architecture. The
// first stage requires an image from a registry.
func (e *engine) build(programs map[string]string, options ...string) {
	e.t.Helper()
	_, last, found := strings.Cut(read(e.t, "../Dockerfile"), "\nFROM scratch\n")
	const copied = "COPY --from=build /process-exporter "
	if !found || !strings.Contains(last, copied) {
		e.t.Fatal("the last stage of the Dockerfile copies no program")
	}
	last = strings.Replace(last, copied, "ARG TARGETARCH\nCOPY process-exporter-$TARGETARCH ", 1)
	last = strings.Replace(last, "COPY --from=build /links/ ", "COPY links/ ", 1)
	dockerfile := write(e.t, "Dockerfile", "FROM scratch\n"+last)
	context, age := filepath.Dir(dockerfile), time.Unix(1_700_000_000, 0)
	files := map[string]string{"LICENSE": "../LICENSE"}
	for arch, program := range programs {
		files["process-exporter-"+arch] = program
	}
	for name, from := range files {
		if err := os.WriteFile(filepath.Join(context, name), []byte(read(e.t, from)), 0o755); err != nil {
			e.t.Fatal(err)
		}
		if name != "LICENSE" {
			mustOutput(e.t, testenv.RequireProgram(e.t, "setcap"), fileCapabilities(e.t), filepath.Join(context, name))
		}
		// The history of an image contains a digest of copied files with their times.
		if err := os.Chtimes(filepath.Join(context, name), age, age); err != nil {
			e.t.Fatal(err)
		}
	}
	addLinks(e.t, context, age)
	policy := write(e.t, "policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`)
	args := append(slices.Clone(e.flags), "bud", "--signature-policy", policy, "--isolation", "chroot")
	mustOutput(e.t, "buildah", append(append(args, options...), context)...)
}

// addLinks creates the links that the first stage of the Dockerfile creates.
func addLinks(t *testing.T, context string, age time.Time) {
	t.Helper()
	_, rest, found := strings.Cut(read(t, "../Dockerfile"), "\nRUN mkdir /links && ln -s ")
	command, _, _ := strings.Cut(rest, "\n")
	target, link, _ := strings.Cut(command, " /links/")
	if !found || link == "" {
		t.Fatal("got no links in the Dockerfile, want the second name of the program")
	}
	dir := filepath.Join(context, "links")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Symlink(target, filepath.Join(dir, link))); err != nil {
		t.Fatal(err)
	}
	times := []unix.Timespec{unix.NsecToTimespec(age.UnixNano()), unix.NsecToTimespec(age.UnixNano())}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, link), times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(dir, age, age); err != nil {
		t.Fatal(err)
	}
}

// TestImageHasBothNames runs the program of the image by its second name.
func TestImageHasBothNames(t *testing.T) {
	e := newEngine(t)
	e.buildHere()
	if got := e.run([]string{"--entrypoint", "process_exporter"}, "--version"); !strings.Contains(got, "process_exporter, version") {
		t.Errorf("got %q, want the version", got)
	}
}

// buildHere builds the image for this machine, in Docker's format, which supports
// health checks.
func (e *engine) buildHere() {
	e.t.Helper()
	e.build(map[string]string{runtime.GOARCH: testenv.BuildExporter(e.t)}, "--format", "docker", "-t", image)
}

// imagePlatforms returns the platforms of the image, sorted.
func imagePlatforms() (platforms []string) {
	for _, arch := range releasedArchitectures() {
		platforms = append(platforms, "linux/"+strings.Replace(arch, "armv", "arm/v", 1))
	}
	slices.Sort(platforms)
	return platforms
}

// TestImageOfEveryArchitecture builds the image for several platforms twice and compares
// both indexes. It uses the OCI format, because Docker's contains a random host name.
func TestImageOfEveryArchitecture(t *testing.T) {
	e := newEngine(t)
	// The index contains the platform and the digest of each part.
	type part struct {
		Digest   string
		Platform struct{ OS, Architecture, Variant string }
	}
	var builds [2][]part
	programs := releasedPrograms(t)
	for i := range builds {
		name := fmt.Sprintf("localhost/all-%d", i)
		e.build(programs, "--format", "oci", "--timestamp", "1700000000",
			"--platform", strings.Join(imagePlatforms(), ","), "--manifest", name)
		var index struct{ Manifests []part }
		text := mustOutput(t, "buildah", append(slices.Clone(e.flags), "manifest", "inspect", name)...)
		if err := json.Unmarshal([]byte(text), &index); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		slices.SortFunc(index.Manifests, func(a, b part) int { return strings.Compare(a.Digest, b.Digest) })
		builds[i] = index.Manifests
	}
	if !slices.Equal(builds[0], builds[1]) {
		t.Errorf("two builds differ:\n%v\n%v", builds[0], builds[1])
	}
	var got []string
	digests := map[string]bool{}
	for _, p := range builds[0] {
		got = append(got, strings.TrimSuffix(p.Platform.OS+"/"+p.Platform.Architecture+"/"+p.Platform.Variant, "/"))
		digests[p.Digest] = true
	}
	if slices.Sort(got); !slices.Equal(got, imagePlatforms()) || len(digests) != len(got) {
		t.Errorf("got an image for %v with %d different parts, want %v", got, len(digests), imagePlatforms())
	}
}

// releasedPrograms unpacks the programs of a release for the platforms of the image.
// It returns their paths by architecture.
func releasedPrograms(t *testing.T) map[string]string {
	t.Helper()
	programs := map[string]string{}
	for _, arch := range releasedArchitectures() {
		name := "process-exporter-" + releasedVersion + ".linux-" + arch
		out := t.TempDir()
		mustOutput(t, "tar", "-C", out, "-xf", filepath.Join(sharedRelease(t, arch), name+".tar.gz"))
		programs[strings.TrimSuffix(arch, "v7")] = filepath.Join(out, name, "process-exporter")
	}
	return programs
}

// run runs the image and returns its output.
func (e *engine) run(options []string, args ...string) string {
	e.t.Helper()
	all := append(e.flags, "run", "--rm", "--network", "host", "--pid", "host", "--cap-drop", "all", "--read-only",
		"--security-opt", "no-new-privileges", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
	all = append(append(append(all, options...), image), args...)
	return mustOutput(e.t, "podman", all...)
}

// fileCapabilities returns the file capabilities that the Dockerfile sets.
func fileCapabilities(t *testing.T) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, "../Dockerfile"), " setcap ")
	capabilities, _, ends := strings.Cut(rest, " /process-exporter\n")
	if !found || !ends || !strings.HasSuffix(capabilities, "+p") {
		t.Fatalf("got file capabilities %q in the Dockerfile, want permitted ones", capabilities)
	}
	return capabilities
}

// startTarget starts a process of a user that no container uses.
func startTarget(t *testing.T) {
	t.Helper()
	program, err := os.ReadFile(mustPath(t, "sleep"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(testenv.BuildDir(), "profile-target")
	if err := os.WriteFile(path, program, 0o755); err != nil {
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

package deploy_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestExposure checks the exposure level of the units with systemd-analyze
// security. The threshold is ten times the level.
func TestExposure(t *testing.T) {
	analyze := testenv.RequireProgram(t, "systemd-analyze")
	for unit, threshold := range map[string]string{"process-exporter.service": "20", "process-exporter-activated.service": "10"} {
		if text, err := output(t, analyze, "security", "--offline=true", "--threshold="+threshold, "systemd/"+unit); err != nil {
			t.Errorf("%s: %v\n%s", unit, err, text)
		}
	}
}

// steps are the lines that boot.sh reports, in order.
var steps = []string{
	"installed",
	"reads all processes as a non-root user",
	"reloads",
	"the watchdog restarts the service",
	"an upgrade keeps the edited configuration and starts the new one",
	"an upgrade leaves a disabled service alone",
	"socket activation",
	"the drop-in enables the source bpf",
	"another executable for the unit",
	"a removal keeps the edited configuration",
	"a purge removes the configuration",
}

// TestBoot boots systemd in a container with the /usr of this machine, and
// installs, uses, upgrades and removes the package there.
func TestBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a container")
	}
	if os.Getuid() != 0 {
		t.Skip("requires root")
	}
	nspawn := requireTool(t, "systemd-nspawn")
	testenv.RequireNamespaces(t)
	testenv.RequireProgram(t, "dpkg")
	root := newRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, nspawn, "--register=no", "--keep-unit", "-D", root,
		"--overlay=/usr:"+filepath.Join(root, "upper/upper")+":/usr", "--boot",
		"--machine=process-exporter-test", "--private-network", "--capability=CAP_BPF,CAP_PERFMON",
		"--system-call-filter=bpf perf_event_open seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
		"systemd.unit=test.target", "systemd.firstboot=off")
	text, err := command.CombinedOutput()
	t.Cleanup(func() { removeCgroups(t) })
	steplog, errRead := os.ReadFile(filepath.Join(root, "out/steps"))
	if errRead != nil {
		t.Fatalf("boot.sh did not run: %v\n%s", err, text)
	}
	got := strings.Split(strings.TrimSpace(string(steplog)), "\n")
	if !slices.Equal(got, steps) {
		log, _ := os.ReadFile(filepath.Join(root, "out/log")) // optional: the steps show the failure, too
		t.Errorf("got steps %q\n%s", got, log)
	}
}

// newChroot returns a root file system with accounts and an empty package database. Its
// /usr is an empty directory: mount that of this machine there, with upper/upper and
// upper/work for changes.
func newChroot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	dirs := []string{
		"usr", "upper/upper", "upper/work", "etc/systemd/system", "var/lib/dpkg/info", "var/lib/dpkg/updates",
		"tmp", "run", "proc", "sys", "dev", "root", "out/blocks", "packages",
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"} {
		if err := os.Symlink(to, filepath.Join(root, from)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"etc/passwd", "etc/group", "etc/shadow", "etc/nsswitch.conf", "etc/ld.so.cache"} {
		writeFile(t, filepath.Join(root, name), read(t, "/"+name), 0o755)
	}
	writeFile(t, filepath.Join(root, "var/lib/dpkg/status"), "", 0o644)
	return root
}

// newRoot returns a root file system that boots, with two packages and the script that
// uses them.
func newRoot(t *testing.T) string {
	t.Helper()
	root := newChroot(t)
	put := func(name, text string) {
		t.Helper()
		writeFile(t, filepath.Join(root, name), text, 0o755)
	}
	put("etc/os-release", read(t, "/usr/lib/os-release"))
	put("etc/machine-id", "uninitialized\n")
	put("etc/fstab", "")
	number := make(map[string]int)
	for _, b := range shellBlocks(t) {
		if b.directive == "run: boot" {
			number[b.page]++
			put(fmt.Sprintf("out/blocks/%s.%d", strings.TrimSuffix(filepath.Base(b.page), ".md"), number[b.page]), b.code)
		}
	}
	put("out/boot.sh", read(t, "testdata/boot.sh"))
	put("etc/systemd/system/test.target", "[Unit]\nRequires=sysinit.target test.service\nAfter=sysinit.target\n")
	put("etc/systemd/system/test.service", "[Unit]\nAfter=sysinit.target\n"+
		"[Service]\nType=oneshot\nExecStart=/out/boot.sh\nExecStopPost=/usr/bin/systemctl --no-block poweroff\n")
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	put("packages/old.deb", read(t, filepath.Join(release(t, repository, "1.0.0", "amd64"), "process-exporter_1.0.0_linux_amd64.deb")))
	put("packages/new.deb", read(t, packageFile(t, "amd64", ".deb")))
	return root
}

// removeCgroups removes the empty cgroups that the container leaves behind.
func removeCgroups(t *testing.T) {
	patterns := []string{
		"/sys/fs/cgroup/*/payload", "/sys/fs/cgroup/*/supervisor", "/sys/fs/cgroup/payload", "/sys/fs/cgroup/supervisor",
	}
	for _, pattern := range patterns {
		groups, err := filepath.Glob(pattern)
		if err != nil {
			t.Error(err)
		}
		for _, group := range groups {
			_ = os.Remove(group) // fails if it is not empty
		}
	}
}

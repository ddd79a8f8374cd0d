package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestForgedCgroups starts processes in a unit, in a container, and in cgroups of the same names that a
// user can create below user@UID.service. Only rules for the cgroups of users match the latter.
func TestForgedCgroups(t *testing.T) {
	testenv.RequireRoot(t)
	token := uniqueToken()
	// The exporter prefers long paths, and the process can be in other hierarchies.
	unit, id := token+strings.Repeat("-long", 20)+".service", fmt.Sprintf("%x", sha256.Sum256([]byte(token)))
	uid := strconv.Itoa(os.Getpid())
	user := "user.slice/user-" + uid + ".slice/user@" + uid + ".service"
	for _, path := range []string{
		"system.slice/" + unit, "system.slice/docker-" + id + ".scope",
		user + "/" + unit, user + "/docker-" + id + ".scope",
	} {
		pid := startIdleProcess(t, token).Process.Pid
		t.Cleanup(moveToCgroup(t, pid, path))
	}
	rules := writeFile(t, "rules.yaml", strings.NewReplacer("UNIT", unit, "ID", id).Replace(`process_names:
- {name: unit, unit: [UNIT]}
- {name: container, container: [ID]}
- {name: unit of a user, unit: ["user@*.service/UNIT"]}
- {name: container of a user, container: ["user@*.service/ID"]}
`))
	eachSource(t, func(t *testing.T, source string) {
		body := startExporter(t, source, "--config.path", rules).Scrape()
		for _, group := range []string{"unit", "container", "unit of a user", "container of a user"} {
			want := fmt.Sprintf("namedprocess_namegroup_num_procs{groupname=%q} 1\n", group)
			if !strings.Contains(body, want) {
				t.Errorf("got %q, want %q", linesWith(strings.Split(body, "\n"), "_num_procs{"), want)
			}
		}
	})
}

// moveToCgroup creates a cgroup and those above it in the first hierarchy that permits it, and moves a process
// there. The returned function moves the process back, and removes what has been created.
func moveToCgroup(t *testing.T, pid int, path string) (undo func()) {
	t.Helper()
	failed := errors.New("no hierarchy of systemd or of cgroup v2 is mounted")
	for _, root := range cgroupRoots() {
		dir := filepath.Join(root, path)
		undo = func() {
			_ = writeCgroup(root, pid)
			for ; dir != root; dir = filepath.Dir(dir) {
				_ = os.Remove(dir) // fails if others use it
			}
		}
		for range 10 { // another test can remove the same parents
			if failed = os.MkdirAll(dir, 0o755); failed == nil {
				failed = writeCgroup(dir, pid)
			}
			if !errors.Is(failed, fs.ErrNotExist) {
				break
			}
		}
		if failed == nil {
			return undo
		}
		undo()
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("requires a writable cgroup hierarchy: %v", failed)
	}
	t.Skipf("requires a writable cgroup hierarchy: %v", failed)
	return nil
}

// writeCgroup moves a process to a cgroup.
func writeCgroup(dir string, pid int) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

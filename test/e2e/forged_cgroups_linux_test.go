package e2e

import (
	"crypto/sha256"
	"fmt"
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
	root := cgroupRoot()
	if root == "" {
		const missing = "requires a mounted cgroup hierarchy of systemd, or cgroup v2"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	token := uniqueToken()
	unit, id := token+".service", fmt.Sprintf("%x", sha256.Sum256([]byte(token)))
	const user = "user.slice/user-4242.slice/user@4242.service"
	for _, path := range []string{
		"system.slice/" + unit, "system.slice/docker-" + id + ".scope",
		user + "/" + unit, user + "/docker-" + id + ".scope",
	} {
		dir := makeCgroupPath(t, root, path)
		pid := startIdleProcess(t, token).Process.Pid
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
			t.Fatal(err)
		}
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

// makeCgroupPath creates a cgroup and those above it, below the root of a hierarchy. The test cleanup removes
// what it has created.
func makeCgroupPath(t *testing.T, root, path string) (dir string) {
	t.Helper()
	dir = root
	for name := range strings.SplitSeq(path, "/") {
		dir = filepath.Join(dir, name)
		err := os.Mkdir(dir, 0o755)
		switch {
		case err == nil:
			created := dir
			t.Cleanup(func() { removeCgroup(t, created) })
		case !os.IsExist(err):
			t.Fatal(err)
		}
	}
	return dir
}

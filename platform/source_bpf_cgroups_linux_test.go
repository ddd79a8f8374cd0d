//go:build amd64 || arm64

package platform

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCgroupPaths uses directories in place of cgroups. A path is cached only if the inode of
// its directory is the ID, and is found after the directory was deleted.
func TestCgroupPaths(t *testing.T) {
	c := cgroupPaths{mount: t.TempDir()}
	id := func(path string) uint64 {
		var st unix.Stat_t
		if err := os.MkdirAll(c.mount+path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Stat(c.mount+path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Ino
	}
	a, b := id("/a"), id("/b")
	c.add(a, "/a")
	c.add(b, "/a") // moved out of b
	c.add(0, "/b")
	c.add(b+1, "/gone")
	if err := os.Remove(c.mount + "/a"); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.path(a); got != "/a" || !ok {
		t.Errorf("got %q, %v of a cached cgroup, want /a", got, ok)
	}
	if len(c.known) != 1 {
		t.Errorf("got %v, want one path", c.known)
	}
	for i := range uint64(2 * maxCgroupPaths) { // a full cache is cleared
		c.known[1<<40+i] = "/x"
	}
	if c.add(b, "/b"); len(c.known) != 1 || c.known[b] != "/b" {
		t.Errorf("got %d paths, want only the last one", len(c.known))
	}
}

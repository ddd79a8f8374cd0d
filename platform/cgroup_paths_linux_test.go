//go:build amd64 || arm64

package platform

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCgroupPaths has directories in the place of control groups. A path is known
// by the inode of its own directory only, and after that is gone.
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
	c.keep(a, "/a")
	c.keep(b, "/a") // it has moved from b
	c.keep(0, "/b")
	c.keep(b+1, "/gone")
	if err := os.Remove(c.mount + "/a"); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.path(a); got != "/a" || !ok {
		t.Errorf("got %q, %v of a control group that was met, want /a", got, ok)
	}
	if len(c.known) != 1 {
		t.Errorf("got %v, want one path", c.known)
	}
	for i := range uint64(2 * maxCgroupPaths) { // a full memory begins anew
		c.known[1<<40+i] = "/x"
	}
	if c.keep(b, "/b"); len(c.known) != 1 || c.known[b] != "/b" {
		t.Errorf("got %d paths, want one of the last", len(c.known))
	}
}

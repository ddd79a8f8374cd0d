//go:build amd64 || arm64

package platform

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxCgroupPaths is the maximum size of the cache of paths: users can create many cgroups.
const maxCgroupPaths = 4096

// cgroupPaths caches the paths of cgroups by ID. The sandbox does not permit looking
// them up, so the paths of live processes are kept for processes that exit before they are
// identified.
type cgroupPaths struct {
	mount     string // mount point of cgroup v2
	cacheOnly bool   // in the sandbox
	known     map[uint64]string
}

// add adds a path that a process had a moment after its cgroup ID was read. The process may
// have moved in between: the inode number of the directory must be the ID.
func (c *cgroupPaths) add(id uint64, path string) {
	if c.known[id] == path || id == 0 {
		return
	}
	var st unix.Stat_t
	if unix.Stat(c.mount+path, &st) != nil || st.Ino != id {
		return
	}
	if c.known == nil || len(c.known) >= maxCgroupPaths {
		c.known = make(map[uint64]string)
	}
	c.known[id] = path
}

// path returns the path of a cgroup.
func (c *cgroupPaths) path(id uint64) (path string, ok bool) {
	if path, ok = c.known[id]; ok || c.cacheOnly {
		return path, ok
	}
	return cgroupPath(id)
}

// cgroupMount is the default mount point of cgroup v2.
const cgroupMount = "/sys/fs/cgroup"

// cgroupPath returns the path of a cgroup in the format of /proc/PID/cgroup. ok is false if
// the cgroup was deleted after its last process exited.
func cgroupPath(id uint64) (path string, ok bool) {
	const fileIDKernfs = 0xfe // FILEID_KERNFS
	root, err := unix.Open(cgroupMount, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(root)
	var raw [8]byte
	for i := range raw {
		raw[i] = byte(id >> (8 * i))
	}
	fd, err := unix.OpenByHandleAt(root, unix.NewFileHandle(fileIDKernfs, raw[:]), unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	full, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", false
	}
	path, ok = strings.CutPrefix(full, cgroupMount)
	if path == "" {
		path = "/"
	}
	return path, ok
}

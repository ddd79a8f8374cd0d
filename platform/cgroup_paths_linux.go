//go:build amd64 || arm64

package platform

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxCgroupPaths bounds what is remembered of control groups: users can make many.
const maxCgroupPaths = 4096

// cgroupPaths knows the paths of control groups by their ids. Inside the sandbox
// the kernel is not asked for them, so that those of living processes are
// remembered for others that end before anybody could read theirs.
type cgroupPaths struct {
	mount string // of the control groups
	known map[uint64]string
}

// keep remembers a path that a process had a moment after its id was told. It may
// have moved in between: the directory has the id for its inode.
func (c *cgroupPaths) keep(id uint64, path string) {
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

// path returns the path of a control group.
func (c *cgroupPaths) path(id uint64) (path string, ok bool) {
	if path, ok = c.known[id]; ok {
		return path, true
	}
	return cgroupPath(id)
}

// cgroupMount is where control groups of version 2 are mounted.
const cgroupMount = "/sys/fs/cgroup"

// cgroupPath returns the path of a control group, as /proc/PID/cgroup has it. It
// is gone if it went with its last process.
func cgroupPath(id uint64) (path string, ok bool) {
	const fileIDKernfs = 0xfe // FILEID_KERNFS, linux/exportfs.h
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

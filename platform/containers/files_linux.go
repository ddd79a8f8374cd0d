package containers

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform"
)

const (
	maxDockerBytes = 1 << 20  // of a config.v2.json, which has a few KB
	maxPodmanBytes = 32 << 20 // of containers.json, which has about 500 bytes for each container
)

// files reads the directories through descriptors; -1 is a directory that does not exist.
type files struct{ linksDir, podsDir, dockerDir, podmanDir int }

func openFiles(d Dirs) files {
	open := func(path string) int {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return -1
		}
		return fd
	}
	return files{open(d.Links), open(d.Pods), open(d.Docker), open(d.Podman)}
}

func (f files) all() []int { return []int{f.linksDir, f.podsDir, f.dockerDir, f.podmanDir} }

// none reports whether no directory exists.
func (f files) none() bool {
	return f.linksDir < 0 && f.podsDir < 0 && f.dockerDir < 0 && f.podmanDir < 0
}

func (f files) close() {
	for _, fd := range f.all() {
		if fd >= 0 {
			_ = unix.Close(fd) // read only
		}
	}
}

// links returns the names of containers by ID.
func (f files) links() (map[string]platform.ContainerNames, error) {
	return readNames(f.linksDir, parseLink)
}

// pods returns the names of pods by UID.
func (f files) pods() (map[string]platform.ContainerNames, error) {
	return readNames(f.podsDir, parsePodDir)
}

// readNames parses the name of each entry of a directory.
func readNames(
	dir int, parse func(string) (string, platform.ContainerNames, bool),
) (map[string]platform.ContainerNames, error) {
	if dir < 0 {
		return nil, nil
	}
	entries, err := openAt(dir, ".", unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer entries.Close()
	list, err := entries.Readdirnames(maxContainers)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	all := make(map[string]platform.ContainerNames, len(list))
	for _, entry := range list {
		if key, names, ok := parse(entry); ok {
			all[key] = names
		}
	}
	return all, nil
}

// runtimes returns the names of the container with this ID if it is one of Docker. Otherwise
// it returns those of all containers of Podman, whether or not one of them has this ID.
func (f files) runtimes(id string) map[string]platform.ContainerNames {
	if !isID(id) { // it becomes a part of a path
		return nil
	}
	if text, err := readAt(f.dockerDir, id+"/config.v2.json", maxDockerBytes); err == nil {
		if names, ok := parseDocker(text); ok {
			return map[string]platform.ContainerNames{id: names}
		}
	}
	if text, err := readAt(f.podmanDir, "containers.json", maxPodmanBytes); err == nil {
		return parsePodman(text)
	}
	return nil
}

// readAt reads a regular file below a directory.
func readAt(dir int, path string, maxBytes int64) ([]byte, error) {
	if dir < 0 {
		return nil, os.ErrNotExist
	}
	file, err := openAt(dir, path, unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxBytes {
		return nil, errors.Join(err, os.ErrInvalid)
	}
	return io.ReadAll(io.LimitReader(file, maxBytes))
}

// openAt opens a file below a directory. It does not use openat2(2), which the sandbox denies.
func openAt(dir int, path string, flags int) (*os.File, error) {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

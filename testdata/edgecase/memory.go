//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mapped keeps the mappings reachable.
var mapped [][]byte

// mapMemory maps memory of a kind and size, such as "locked,65536". The kind "file" is followed by a
// path.
func mapMemory(what string) error {
	kind, rest, _ := strings.Cut(what, ",")
	number, path, _ := strings.Cut(rest, ",")
	size, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	const private, write = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, unix.PROT_READ | unix.PROT_WRITE
	switch kind {
	case "anonymous":
		return touch(private, write, size)
	case "locked":
		if err := touch(private, write, size); err != nil {
			return err
		}
		return unix.Mlock(mapped[len(mapped)-1])
	case "shared":
		return touch(unix.MAP_SHARED|unix.MAP_ANONYMOUS, write, size)
	case "huge":
		return touch(private|unix.MAP_HUGETLB|21<<unix.MAP_HUGE_SHIFT, write, size)
	case "reserved": // read-only, so that the kernel does not merge it with another mapping
		_, err = keep(-1, private|unix.MAP_NORESERVE, unix.PROT_READ, size)
		return err
	case "file":
		return mapFile(path, size)
	}
	return fmt.Errorf("unknown kind of memory: %q", kind)
}

func keep(fd, flags, protection, size int) ([]byte, error) {
	memory, err := unix.Mmap(fd, 0, size, protection, flags)
	if err == nil {
		mapped = append(mapped, memory)
	}
	return memory, err
}

// touch maps memory and writes to every page.
func touch(flags, protection, size int) error {
	memory, err := keep(-1, flags, protection, size)
	for at := 0; at < len(memory); at += os.Getpagesize() {
		memory[at] = 1
	}
	return err
}

// mapFile maps a new sparse file and writes to its first page.
func mapFile(path string, size int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(int64(size)); err != nil {
		return err
	}
	memory, err := keep(int(file.Fd()), unix.MAP_SHARED, unix.PROT_READ|unix.PROT_WRITE, size)
	if err == nil {
		memory[0] = 1
	}
	return err
}

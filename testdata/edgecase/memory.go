//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mapped keeps the mappings.
var mapped [][]byte

// mapMemory takes a kind of memory and its bytes, such as "locked,65536", and
// for a file its path behind them.
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
	case "reserved": // only readable, so that it does not join a neighbour
		_, err = keep(-1, private|unix.MAP_NORESERVE, unix.PROT_READ, size)
		return err
	case "file":
		return mapFile(path, size)
	}
	return fmt.Errorf("no such memory: %q", kind)
}

func keep(fd, flags, protection, size int) ([]byte, error) {
	memory, err := unix.Mmap(fd, 0, size, protection, flags)
	if err == nil {
		mapped = append(mapped, memory)
	}
	return memory, err
}

// touch maps memory and writes to every page of it.
func touch(flags, protection, size int) error {
	memory, err := keep(-1, flags, protection, size)
	for at := 0; at < len(memory); at += os.Getpagesize() {
		memory[at] = 1
	}
	return err
}

// mapFile maps a new file that is all hole, and writes to its first page.
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

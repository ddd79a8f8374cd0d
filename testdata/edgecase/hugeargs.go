//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A memoryMap is struct prctl_mm_map, the argument of prctl(PR_SET_MM_MAP).
type memoryMap struct {
	StartCode, EndCode, StartData, EndData, StartBreak, Break uint64
	StartStack, ArgStart, ArgEnd, EnvStart, EnvEnd            uint64
	Auxv                                                      uint64
	AuxvSize, ExeFD                                           uint32
}

// hugeArgs sets the addresses of the arguments and of the environment to large areas:
// "17179869184,4096" means 16 GiB each, of which 4096 bytes contain letters. The other pages are
// never touched and use no memory.
func hugeArgs(how string) error {
	size, letters, _ := strings.Cut(how, ",")
	bytes, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	filled, err := strconv.Atoi(letters)
	if err != nil {
		return err
	}
	room, err := keep(-1, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE, unix.PROT_READ|unix.PROT_WRITE, 2*bytes)
	if err != nil {
		return err
	}
	copy(room, "forged\x00")
	for i := len("forged\x00"); i < filled; i++ {
		room[i] = 'x'
	}
	m, err := ownMap()
	if err != nil {
		return err
	}
	m.ArgStart = uint64(uintptr(unsafe.Pointer(&room[0])))
	m.ArgEnd = m.ArgStart + uint64(bytes)
	m.EnvStart, m.EnvEnd = m.ArgEnd, m.ArgEnd+uint64(bytes)
	return unix.Prctl(unix.PR_SET_MM, unix.PR_SET_MM_MAP, uintptr(unsafe.Pointer(m)), unsafe.Sizeof(*m), 0)
}

// ownMap returns the addresses in /proc/self/stat.
func ownMap() (*memoryMap, error) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	m := &memoryMap{ExeFD: ^uint32(0)}
	for field, to := range map[int]*uint64{ // field numbers of proc(5)
		26: &m.StartCode, 27: &m.EndCode, 28: &m.StartStack, 45: &m.StartData, 46: &m.EndData, 47: &m.StartBreak,
	} {
		if *to, err = strconv.ParseUint(fields[field-3], 10, 64); err != nil {
			return nil, fmt.Errorf("field %d: %w", field, err)
		}
	}
	m.Break = m.StartBreak
	return m, nil
}

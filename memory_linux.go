package main

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// respectMemoryLimit makes the garbage collector work harder before the kernel
// ends us for being above the limit of our control group, of which a tenth is
// left for what Go does not manage. GOMEMLIMIT in the environment wins.
func respectMemoryLimit() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return
	}
	if limit := memoryLimit("/sys/fs/cgroup", string(membership)); limit < math.MaxInt64 {
		debug.SetMemoryLimit(limit - limit/10)
	}
}

// memoryLimit returns the least limit of the control groups that a process is
// in, math.MaxInt64 if there is none. Those above limit it as well.
func memoryLimit(root, membership string) int64 {
	least := int64(math.MaxInt64)
	for line := range strings.Lines(membership) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		dir, file := root, "memory.max"
		switch {
		case fields[1] == "memory":
			dir, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		case fields[1] != "":
			continue
		}
		for at := filepath.Join("/", fields[2]); ; at = filepath.Dir(at) {
			text, err := os.ReadFile(filepath.Join(dir, at, file))
			if limit, bad := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && bad == nil {
				least = min(least, limit)
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

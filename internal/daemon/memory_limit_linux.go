package daemon

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// setMemoryLimit sets the soft memory limit of the Go runtime to 90 % of the
// cgroup memory limit, so that the garbage collector runs before the OOM killer
// does. The rest is for memory that Go does not manage. The environment variable
// GOMEMLIMIT takes precedence.
func setMemoryLimit() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	cgroups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return
	}
	if limit := cgroupMemoryLimit("/sys/fs/cgroup", string(cgroups)); limit < math.MaxInt64 {
		debug.SetMemoryLimit(limit - limit/10)
	}
}

// cgroupMemoryLimit returns the lowest memory limit in bytes of the cgroups of a
// process and of their ancestors, math.MaxInt64 without a limit. root is the
// mount point of the cgroup file system, cgroups is the text of /proc/PID/cgroup.
func cgroupMemoryLimit(root, cgroups string) int64 {
	lowest := int64(math.MaxInt64)
	for line := range strings.Lines(cgroups) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		dir, file := root, "memory.max"
		switch {
		case fields[1] == "memory": // cgroup v1
			dir, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		case fields[1] != "":
			continue
		}
		for path := filepath.Join("/", fields[2]); ; path = filepath.Dir(path) {
			text, readErr := os.ReadFile(filepath.Join(dir, path, file))
			if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); readErr == nil && err == nil {
				lowest = min(lowest, limit)
			}
			if path == "/" {
				break
			}
		}
	}
	return lowest
}

package procfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
)

// liveFile reads one file of a running process. It returns nil if the process has
// exited, the kernel denies access, or the kernel lacks the file.
func liveFile(t *testing.T, pid int, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err == nil {
		return text
	}
	read := &ReadError{PID: pid, File: file, Err: err}
	if !errors.Is(read, ErrGone) && !errors.Is(read, ErrAccessDenied) && !errors.Is(read, os.ErrNotExist) {
		t.Error(read)
	}
	return nil
}

// TestLive parses the files of every process of the running kernel.
func TestLive(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("requires Linux, runs on", runtime.GOOS)
	}
	dirs, err := filepath.Glob("/proc/[1-9]*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("got %d processes, error %v, want some", len(dirs), err)
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			t.Fatal(err)
		}
		checkLiveNumbers(t, pid)
		checkLiveStrings(t, pid)
	}
}

// checkLiveNumbers parses the files with numbers of one process.
func checkLiveNumbers(t *testing.T, pid int) {
	t.Helper()
	var stat Stat
	var status Status
	parsers := []struct {
		file  string
		parse func([]byte) error
	}{
		{"stat", func(text []byte) error { return ParseStat(text, &stat) }},
		{"status", func(text []byte) error { return ParseStatus(text, &status) }},
		{"io", func(text []byte) error { return ParseIO(text, new(IO)) }},
		{"statm", func(text []byte) error { return ParseStatm(text, new(Statm)) }},
		{"limits", func(text []byte) error { return ParseLimits(text, new(Limits)) }},
		{"schedstat", func(text []byte) error { return ParseSchedstat(text, new(Schedstat)) }},
		{"task/" + strconv.Itoa(pid) + "/stat", func(text []byte) error { return ParseStat(text, new(Stat)) }},
	}
	for _, p := range parsers {
		if text := liveFile(t, pid, p.file); text != nil {
			if err := p.parse(text); err != nil {
				t.Errorf("process %d: %v", pid, err)
			}
		}
	}
	if stat.PID != 0 && stat.PID != pid {
		t.Errorf("got PID %d from /proc/%d/stat", stat.PID, pid)
	}
	const all = StatusState | StatusUIDs | StatusGIDs | StatusThreads | StatusSwitches
	if status.Have != 0 && status.Have&all != all {
		t.Errorf("process %d: got lines %b, want at least %b", pid, status.Have, all)
	}
}

// checkLiveStrings parses the files with strings of one process.
func checkLiveStrings(t *testing.T, pid int) {
	t.Helper()
	for _, path := range AppendCgroupPaths(nil, liveFile(t, pid, "cgroup")) {
		if path == "" || path[0] != '/' {
			t.Errorf("process %d: got cgroup path %q, want an absolute one", pid, path)
		}
	}
	if wchan := ParseWChan(liveFile(t, pid, "wchan")); len(wchan) > 128 {
		t.Errorf("process %d: got wait channel %q, want a function name", pid, wchan)
	}
}

// TestLiveSelf compares parsed values of this process with those of system calls.
func TestLiveSelf(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("requires Linux, runs on", runtime.GOOS)
	}
	pid := os.Getpid()
	var stat Stat
	var status Status
	var smaps Smaps
	if err := errors.Join(
		ParseStat(liveFile(t, pid, "stat"), &stat),
		ParseStatus(liveFile(t, pid, "status"), &status),
		ParseSmaps(liveFile(t, pid, "smaps"), &smaps),
	); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		got, want int
	}{
		{"pid", stat.PID, pid},
		{"ppid", stat.PPID, os.Getppid()},
		{"effective user", int(status.UIDs[1]), os.Geteuid()},
		{"real group", int(status.GIDs[0]), os.Getgid()},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %s %d, want %d", tt.name, tt.got, tt.want)
		}
	}
	if smaps.RSSBytes < smaps.PSSBytes || smaps.PSSBytes < smaps.USSBytes || smaps.USSBytes == 0 {
		t.Errorf("got %+v, want RSS >= PSS >= USS > 0", smaps)
	}
	args := AppendArgs(nil, liveFile(t, pid, "cmdline"))
	if len(args) != len(os.Args) || args[0] != os.Args[0] {
		t.Errorf("got arguments %q, want %q", args, os.Args)
	}
}

// TestLiveHost parses the files of the running kernel that describe the host.
func TestLiveHost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("requires Linux, runs on", runtime.GOOS)
	}
	read := func(name string) []byte {
		text, err := os.ReadFile("/proc/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if boot, err := ParseBootTime(read("stat")); err != nil || boot == 0 {
		t.Errorf("got boot time %d and error %v, want a positive time", boot, err)
	}
	if uptime, err := ParseUptime(read("uptime")); err != nil || uptime == 0 {
		t.Errorf("got uptime %d and error %v, want a positive time", uptime, err)
	}
	var mem Meminfo
	if err := ParseMeminfo(read("meminfo"), &mem); err != nil || mem.TotalBytes <= mem.FreeBytes {
		t.Errorf("got %+v and error %v, want more total than free memory", mem, err)
	}
}

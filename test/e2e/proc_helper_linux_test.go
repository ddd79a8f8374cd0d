package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/seed57308aee/process_exporter/procfs"
)

// children returns the PIDs of the children of a process.
func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(text)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, child)
	}
	return pids
}

// procText returns a file of a process, with spaces instead of NUL bytes.
func procText(t *testing.T, pid int, file string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(bytes.ReplaceAll(text, []byte{0}, []byte(" "))))
}

// statusKB returns the number of a line of /proc/PID/status.
func statusKB(t *testing.T, pid int, key string) (n int) {
	t.Helper()
	word := statusWord(t, pid, key)
	n, err := strconv.Atoi(word)
	if err != nil {
		t.Fatalf("%s of process %d: %v", key, pid, err)
	}
	return n
}

// statusWord returns the first word of a line of /proc/PID/status.
func statusWord(t *testing.T, pid int, key string) (word string) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n"+key+":")
	if _, err := fmt.Sscan(rest, &word); err != nil || !found {
		t.Fatalf("got no %s in the status of process %d: %v", key, pid, err)
	}
	return word
}

// statOf returns the stat fields of a process or thread. path is relative to /proc.
func statOf(t *testing.T, path string) (st procfs.Stat) {
	t.Helper()
	text, err := os.ReadFile("/proc/" + path + "/stat")
	if err == nil {
		err = procfs.ParseStat(text, &st)
	}
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// threadCount returns the number of threads of a process, without reads that can block.
func threadCount(t *testing.T, pid int) int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

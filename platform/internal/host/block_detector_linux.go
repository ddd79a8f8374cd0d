package host

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/procfs"
)

// A BlockDetector detects that a thread of this process is blocked in a read. Its
// methods are called at the ticks of a ticker with half of the timeout as the period.
type BlockDetector struct {
	timeout  time.Duration
	blocked  int // ticks in succession at which the thread was blocked
	lastTick time.Time
}

// NewBlockDetector returns a BlockDetector of reads that begin now.
func NewBlockDetector(timeout time.Duration) BlockDetector {
	return BlockDetector{timeout: timeout, lastTick: time.Now()}
}

// Tick reports whether the thread is blocked at this tick and was at the previous one. A late
// tick does not count: it means that this process did not get CPU time either.
func (d *BlockDetector) Tick(now time.Time, tid int64) bool {
	late := now.Sub(d.lastTick) > d.timeout
	d.lastTick = now
	if late || !threadBlocked(tid) {
		d.blocked = 0
		return false
	}
	d.blocked++
	return d.blocked >= 2
}

// Reset replaces Tick if the thread has finished a read since the previous tick.
func (d *BlockDetector) Reset(now time.Time) { d.blocked, d.lastTick = 0, now }

// threadBlocked reports whether a thread of this process waits in the kernel for a file.
// On a busy machine it may instead wait for CPU time, or for the Go scheduler in futex(2):
// then it will continue.
func threadBlocked(tid int64) bool {
	wait := waitOf(tid)
	if wait == runs || wait == waitsInFutex {
		return false // the state is not needed
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", tid))
	if err != nil {
		return true // this process cannot read its own /proc
	}
	var st procfs.Stat
	if procfs.ParseStat(text, &st) != nil {
		return true
	}
	return isBlocked(wait, st.State)
}

// isBlocked reports whether a thread in a state of /proc/PID/stat waits for a file. A sleep
// in futex is interruptible. A sleep in a read of /proc is not, but that of a FIFO is.
func isBlocked(wait threadWait, state byte) bool {
	return wait == unknownWait && state == 'D' || wait == waitsElsewhere && state != 'R'
}

// A threadWait says where a thread waits in the kernel.
type threadWait uint8

const (
	unknownWait threadWait = iota
	runs
	waitsInFutex
	waitsElsewhere
)

// waitOf returns where a thread of this process waits. A process that is not dumpable
// may read its own syscall file only as root, but always wchan, which needs
// CONFIG_KALLSYMS.
func waitOf(tid int64) threadWait {
	if call, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", tid)); err == nil {
		return parseSyscallFile(string(call))
	}
	if function, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/wchan", tid)); err == nil {
		return parseWChan(string(function))
	}
	return unknownWait
}

// parseSyscallFile parses "running", or the number and arguments of a system call.
func parseSyscallFile(text string) threadWait {
	number, _, _ := strings.Cut(text, " ")
	switch n, err := strconv.Atoi(number); {
	case err != nil:
		return runs
	case n == unix.SYS_FUTEX:
		return waitsInFutex
	}
	return waitsElsewhere
}

// parseWChan parses the name of a kernel function, such as futex_do_wait or pipe_read,
// or "0" of a thread that runs.
func parseWChan(text string) threadWait {
	switch {
	case text == "":
		return unknownWait
	case text == "0":
		return runs
	case strings.Contains(text, "futex"):
		return waitsInFutex
	}
	return waitsElsewhere
}

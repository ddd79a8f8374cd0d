package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// refusedCalls returns the messages of the kernel about system calls of a process that a seccomp filter
// refused. It returns nothing without the privilege to read them, and the kernel limits their rate.
func refusedCalls(pid int, since time.Time) (messages []string) {
	log := make([]byte, 1<<20)
	n, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, log)
	if err != nil {
		return nil
	}
	call := regexp.MustCompile(`type=1326 audit\((\d+)\.\d+:.* pid=` + strconv.Itoa(pid) + ` .* exe=".*process_exporter.* syscall=(\d+) `)
	for line := range strings.Lines(string(log[:max(n, 0)])) {
		// These calls return ENOSYS. With cgo, the C library tries clone3(2) before clone(2).
		m := call.FindStringSubmatch(line)
		if m == nil || m[2] == strconv.Itoa(unix.SYS_CLONE3) || m[2] == strconv.Itoa(unix.SYS_SENDFILE) {
			continue
		}
		if seconds, err := strconv.ParseInt(m[1], 10, 64); err == nil && seconds >= since.Unix() { // else an earlier process had the PID
			messages = append(messages, line)
		}
	}
	return messages
}

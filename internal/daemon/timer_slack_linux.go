package daemon

import (
	"os"
	"strconv"
)

// timerSlack is the timer slack of all threads in nanoseconds. The default of
// the kernel is 50,000.
const timerSlack = 1_000_000

// setTimerSlack increases the timer slack of all threads. The sysmon thread of
// the Go runtime wakes up every 20 microseconds during a scrape, which was a
// tenth of the CPU time of the scrape. New threads inherit the slack of their
// creator. Errors are ignored: they only cost that CPU time.
func setTimerSlack() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range threads {
		_ = os.WriteFile("/proc/"+t.Name()+"/timerslack_ns", strconv.AppendInt(nil, timerSlack, 10), 0)
	}
}

package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
)

// gcPercent is the value of GOGC. The garbage of a scrape is small compared with
// the live heap, so frequent collections cost nothing measurable.
const gcPercent = 25

// TuneRuntime reduces the CPU and memory use of the Go runtime. The environment
// variables GOMAXPROCS, GOGC and GOMEMLIMIT take precedence. Call it at the
// start of the program: later threads inherit the timer slack.
func TuneRuntime() {
	// A walk uses one thread. With more, the scheduler moves it between cores,
	// which costs a twentieth of its CPU time.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	setTimerSlack()
	setMemoryLimit()
}

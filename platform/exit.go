package platform

import "strconv"

// An Exit describes a process that was reaped. The Sample holds the resources that all its
// threads have used until then. ExecID, Comm, PPID and EUID are those at the exit of its
// last thread.
type Exit struct {
	Sample
	Status            uint32 // wait status, see wait(2)
	OOMKilled         bool   // killed by the OOM killer
	PeakResidentBytes uint64
	End               uint64 // clock ticks after boot, 0 if the time of the exit is unknown
	EventLost         bool   // the exit event was lost, see LostExitEvents: Comm, PPID, EUID, Cgroup and Args may be unknown

	// Args is the command line in the format of /proc/PID/cmdline: a NUL byte follows
	// each argument. Only the first 2 KiB are kept.
	Args []byte
}

// The reasons of an exit.
const (
	ReasonExited = "exited" // with a status
	ReasonKilled = "killed" // by a signal
	ReasonDumped = "dumped" // by a signal, with a core dump
)

// Reason returns why the process exited, and the status or the name of the signal.
func (e *Exit) Reason() (reason, code string) {
	signal := e.Status & 0x7f
	switch {
	case signal == 0:
		return ReasonExited, strconv.Itoa(int(e.Status >> 8 & 0xff))
	case e.Status&0x80 != 0:
		return ReasonDumped, signalName(int(signal))
	}
	return ReasonKilled, signalName(int(signal))
}

// signalNames are the names of the signals by number, from signal(7). They are the same on all
// architectures on which the source bpf runs.
var signalNames = [...]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
	10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 16: "SIGSTKFLT", 17: "SIGCHLD",
	18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU", 23: "SIGURG", 24: "SIGXCPU", 25: "SIGXFSZ",
	26: "SIGVTALRM", 27: "SIGPROF", 28: "SIGWINCH", 29: "SIGIO", 30: "SIGPWR", 31: "SIGSYS",
}

// signalName returns the name of a signal, such as SIGKILL. Real-time signals are named
// relative to SIGRTMIN.
func signalName(n int) string {
	const sigRTMin = 34 // of the C library: it reserves signals 32 and 33
	switch {
	case n < len(signalNames):
		return signalNames[n]
	case n == sigRTMin:
		return "SIGRTMIN"
	case n > sigRTMin:
		return "SIGRTMIN+" + strconv.Itoa(n-sigRTMin)
	}
	return strconv.Itoa(n)
}

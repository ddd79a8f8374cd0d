package platform

import "strconv"

// The reasons for an exit.
const (
	ReasonExited = "exited" // by itself, with a status
	ReasonKilled = "killed" // by a signal
	ReasonDumped = "dumped" // by a signal, and left a core file
)

// Reason returns why the process ended, and the status or the name of the
// signal.
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

// signalNames are the signals of Linux by number, as signal(7) has them for all
// architectures that the kernel tells of exits on.
var signalNames = [...]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
	10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 16: "SIGSTKFLT", 17: "SIGCHLD",
	18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU", 23: "SIGURG", 24: "SIGXCPU", 25: "SIGXFSZ",
	26: "SIGVTALRM", 27: "SIGPROF", 28: "SIGWINCH", 29: "SIGIO", 30: "SIGPWR", 31: "SIGSYS",
}

// signalName returns SIGKILL for 9, and the distance from SIGRTMIN for those
// that have no name.
func signalName(n int) string {
	const sigRTMin = 34 // the first that a C library leaves to programs
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

package procfs

// Schedstat holds the values of /proc/PID/schedstat or
// /proc/PID/task/TID/schedstat, for one thread. The file of a process is that of
// its main thread. All values are 0 if the kernel does not collect
// scheduler statistics.
type Schedstat struct {
	RunNanoseconds  uint64 // on a CPU
	WaitNanoseconds uint64 // runnable, but waiting for a CPU
	Slices          uint64 // number of time slices
}

// ParseSchedstat fills dst from the text of a schedstat file.
func ParseSchedstat(text []byte, dst *Schedstat) error {
	var got Schedstat
	line, _, complete := nextLine(text)
	if !complete || !setFields(line, &got.RunNanoseconds, &got.WaitNanoseconds, &got.Slices) {
		return newParseError("schedstat", "", text)
	}
	*dst = got
	return nil
}

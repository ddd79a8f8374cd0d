package procfs

// Schedstat is what /proc/PID/schedstat and /proc/PID/task/TID/schedstat say
// of one thread; that of a process is of its first thread. All are zero where
// the kernel keeps no such statistics.
type Schedstat struct {
	RunNanoseconds  uint64 // on a CPU
	WaitNanoseconds uint64 // ready to run, but waiting for a CPU
	Slices          uint64 // how often it was given a CPU
}

// ParseSchedstat fills dst from the text of a schedstat file.
func ParseSchedstat(text []byte, dst *Schedstat) error {
	var got Schedstat
	line, _, whole := nextLine(text)
	if !whole || !setFields(line, &got.RunNanoseconds, &got.WaitNanoseconds, &got.Slices) {
		return newParseError("schedstat", "", text)
	}
	*dst = got
	return nil
}

package procfs

import "bytes"

// ParseWChan returns the kernel function in which a thread sleeps, from the text of
// /proc/PID/wchan. The result points into text. It is empty if the thread runs, or
// if the reader may not ptrace it: the kernel prints "0" in both cases.
func ParseWChan(text []byte) []byte {
	text = bytes.TrimSpace(text)
	if string(text) == "0" {
		return text[:0]
	}
	return text
}

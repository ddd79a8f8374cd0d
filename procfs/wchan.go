package procfs

import "bytes"

// ParseWChan returns the kernel function that a thread sleeps in, empty if it
// runs. The kernel prints "0" for a thread that runs, and also to readers that
// may not trace it, so that empty may mean unknown. The result points into text.
func ParseWChan(text []byte) []byte {
	text = bytes.TrimSpace(text)
	if string(text) == "0" {
		return text[:0]
	}
	return text
}

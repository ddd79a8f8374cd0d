package procfs

import (
	"bytes"
	"strings"
)

// AppendArgs appends to dst the NUL-terminated arguments of /proc/PID/cmdline. It
// ignores trailing NULs, which remain when a process overwrites its arguments
// with a status title. Text of NULs only is one empty argument. Empty text, as for
// a kernel thread, is no argument. The arguments are copies that share one
// allocation.
func AppendArgs(dst []string, text []byte) []string {
	if len(text) == 0 {
		return dst
	}
	args := string(bytes.TrimRight(text, "\x00"))
	for {
		arg, rest, more := strings.Cut(args, "\x00")
		dst = append(dst, arg)
		if !more {
			return dst
		}
		args = rest
	}
}

// AppendArgsOrTitle appends to dst the arguments of /proc/PID/cmdline. Unlike
// [AppendArgs] it keeps empty arguments at the end. If the text does not end with
// NUL, a process has overwritten its arguments with a status title: the title is
// then split at spaces. The strings are copies that share one allocation.
func AppendArgsOrTitle(dst []string, text []byte) []string {
	if len(text) == 0 {
		return dst
	}
	separator := "\x00"
	if text[len(text)-1] != 0 {
		separator = " "
	}
	for word := range strings.SplitSeq(strings.TrimSuffix(string(text), separator), separator) {
		dst = append(dst, word)
	}
	return dst
}

package procfs

import (
	"bytes"
	"strings"
)

// AppendArgs appends to dst the arguments that the text of a cmdline file
// holds, each ended by a NUL. NULs at the end make no further arguments: a
// process that overwrites its arguments to show a status leaves as many as it
// likes. Text of nothing but NULs is one empty argument; empty text, as of a
// kernel thread, is none. The arguments are copies that share one allocation.
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

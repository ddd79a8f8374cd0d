package procfs

import "bytes"

// ParseEnviron returns the NUL-terminated variables of /proc/PID/environ. It stops
// at an empty entry, because a process may have overwritten the text after it. It
// skips entries without a name and a truncated last entry without NUL. The last of
// several entries with the same name is used. The strings are copies.
func ParseEnviron(text []byte) map[string]string {
	vars := make(map[string]string)
	for {
		entry, rest, complete := bytes.Cut(text, nul)
		if !complete || len(entry) == 0 {
			return vars
		}
		text = rest
		if name, value, ok := bytes.Cut(entry, equals); ok && len(name) > 0 {
			vars[string(name)] = string(value)
		}
	}
}

var (
	nul    = []byte{0}
	equals = []byte{'='}
)

package procfs

import "bytes"

// ParseEnviron returns the variables that the text of an environ file holds,
// each ended by a NUL. It stops at an empty one, behind which a process may
// have written anything, and skips those that name no variable. Of several
// with one name the last counts. One that lacks its NUL has lost its end, and
// is left out. The strings are copies.
func ParseEnviron(text []byte) map[string]string {
	vars := make(map[string]string)
	for {
		entry, rest, whole := bytes.Cut(text, nul)
		if !whole || len(entry) == 0 {
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

package procfs

import "bytes"

// AppendCgroupPaths appends to dst the path of each line of a cgroup file: one
// for each hierarchy of version 1, and one for version 2. It splits a line at
// its first two colons only, since a path may hold more. A line without two of
// them is skipped, and so is a last line that has lost its end, because half a
// path names another cgroup.
func AppendCgroupPaths(dst []string, text []byte) []string {
	for {
		line, rest, whole := nextLine(text)
		if !whole {
			return dst
		}
		text = rest
		_, line, found := cutColon(line) // number of the hierarchy
		if !found {
			continue
		}
		if _, path, found := cutColon(line); found { // its controllers
			dst = append(dst, string(path))
		}
	}
}

// cutColon splits text at its first colon.
func cutColon(text []byte) (before, after []byte, found bool) {
	i := bytes.IndexByte(text, ':')
	if i < 0 {
		return text, nil, false
	}
	return text[:i], text[i+1:], true
}

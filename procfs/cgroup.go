package procfs

import "bytes"

// AppendCgroupPaths appends to dst the path in each line of /proc/PID/cgroup: one
// for each hierarchy of cgroup v1, and one for cgroup v2. It splits a line at its
// first two colons, because a path may contain colons. It skips lines with fewer
// colons and a truncated last line, whose path would name another cgroup.
func AppendCgroupPaths(dst []string, text []byte) []string {
	for {
		line, rest, complete := nextLine(text)
		if !complete {
			return dst
		}
		text = rest
		_, line, found := cutColon(line) // hierarchy ID
		if !found {
			continue
		}
		if _, path, found := cutColon(line); found { // controllers
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

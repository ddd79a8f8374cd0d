package procfs

// ParseTGID returns the PID of the process that the text of a status file is
// of. It differs from the number in the file's path where that is a thread's.
func ParseTGID(text []byte) (int, error) {
	for len(text) > 0 {
		line, rest, whole := nextLine(text)
		text = rest
		key, value := cutKey(line)
		if string(key) != "Tgid" {
			continue
		}
		var pid int
		if !setInt(&pid, value) || !whole {
			return 0, newParseError("status", "Tgid", value)
		}
		return pid, nil
	}
	return 0, newParseError("status", "Tgid", nil)
}

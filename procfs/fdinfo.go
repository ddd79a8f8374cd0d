package procfs

// FDInfo holds the lines of /proc/PID/fdinfo/FD that every open file has.
type FDInfo struct {
	Position int64  // bytes from the start of the file
	Flags    uint64 // of open(2)
}

// ParseFDInfo fills dst from the text of /proc/PID/fdinfo/FD. Both lines are
// required. It ignores other lines.
func ParseFDInfo(text []byte, dst *FDInfo) error {
	var got FDInfo
	var position, flags bool
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		key, value := cutKey(line)
		var ok bool
		switch string(key) {
		case "pos":
			ok, position = setPosition(&got.Position, value), true
		case "flags":
			ok, flags = setOctal(&got.Flags, value), true
		default:
			continue
		}
		if !ok || !complete {
			return newParseError("fdinfo", string(key), value)
		}
	}
	if !position || !flags {
		return newParseError("fdinfo", "", nil)
	}
	*dst = got
	return nil
}

// setPosition parses a file offset. Some drivers report negative offsets.
func setPosition(to *int64, value []byte) bool {
	value = trimBlanks(value)
	negative := len(value) > 0 && value[0] == '-'
	if negative {
		value = value[1:]
	}
	n, ok := parseUint(value)
	*to = int64(n)
	if negative {
		*to = -*to
	}
	return ok && (n < 1<<63 || negative && n == 1<<63)
}

func setOctal(to *uint64, value []byte) bool {
	digits := trimBlanks(value)
	if len(digits) == 0 || len(digits) > 21 {
		return false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '7' {
			return false
		}
		n = n<<3 | uint64(c-'0')
	}
	*to = n
	return true
}

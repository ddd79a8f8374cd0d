package procfs

// FDInfo is what /proc/PID/fdinfo/FD says of every open file.
type FDInfo struct {
	Position int64  // bytes from the start of the file
	Flags    uint64 // those of open(2)
}

// ParseFDInfo fills dst from the text of an fdinfo file. Both lines must be
// there; others are skipped.
func ParseFDInfo(text []byte, dst *FDInfo) error {
	var got FDInfo
	var position, flags bool
	for len(text) > 0 {
		line, rest, whole := nextLine(text)
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
		if !ok || !whole {
			return newParseError("fdinfo", string(key), value)
		}
	}
	if !position || !flags {
		return newParseError("fdinfo", "", nil)
	}
	*dst = got
	return nil
}

// setPosition parses an offset, which a driver may let be below zero.
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

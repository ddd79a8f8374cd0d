package procfs

// VMStat holds the amount of block I/O of the machine from /proc/vmstat.
type VMStat struct {
	ReadBytes  uint64 // read from block devices: pgpgin
	WriteBytes uint64 // written to block devices: pgpgout
}

// ParseVMStat fills dst from the text of /proc/vmstat, which has both values in KiB.
func ParseVMStat(text []byte, dst *VMStat) error {
	var got VMStat
	missing := 2
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		key, value := nextField(line)
		var to *uint64
		switch string(key) {
		case "pgpgin":
			to = &got.ReadBytes
		case "pgpgout":
			to = &got.WriteBytes
		default:
			continue
		}
		kib, ok := parseUint(trimBlanks(value))
		if !ok || !complete || kib > 1<<53 {
			return newParseError("vmstat", string(key), value)
		}
		*to = kib << 10
		missing--
	}
	if missing != 0 {
		return newParseError("vmstat", "pgpgin", text)
	}
	*dst = got
	return nil
}

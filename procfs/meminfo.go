package procfs

// Meminfo holds values of /proc/meminfo.
type Meminfo struct {
	TotalBytes     uint64
	FreeBytes      uint64
	AvailableBytes uint64 // for new processes without swapping; since Linux 3.14
	SwapTotalBytes uint64
	SwapFreeBytes  uint64
	Have           MeminfoField
}

// MeminfoField is a set of the lines of /proc/meminfo.
type MeminfoField uint8

// The lines of /proc/meminfo.
const (
	MeminfoTotal MeminfoField = 1 << iota
	MeminfoFree
	MeminfoAvailable
	MeminfoSwapTotal
	MeminfoSwapFree
)

// ParseMeminfo fills dst from the text of /proc/meminfo. It ignores unknown keys.
func ParseMeminfo(text []byte, dst *Meminfo) error {
	var got Meminfo
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		key, value := cutKey(line)
		to, bit := got.field(key)
		if bit == 0 {
			continue
		}
		if !setKB(to, value) || !complete {
			return newParseError("meminfo", string(key), value)
		}
		got.Have |= bit
	}
	*dst = got
	return nil
}

// field returns the field for a key and its bit, or nil and 0.
func (m *Meminfo) field(key []byte) (*uint64, MeminfoField) {
	switch string(key) {
	case "MemTotal":
		return &m.TotalBytes, MeminfoTotal
	case "MemFree":
		return &m.FreeBytes, MeminfoFree
	case "MemAvailable":
		return &m.AvailableBytes, MeminfoAvailable
	case "SwapTotal":
		return &m.SwapTotalBytes, MeminfoSwapTotal
	case "SwapFree":
		return &m.SwapFreeBytes, MeminfoSwapFree
	}
	return nil, 0
}

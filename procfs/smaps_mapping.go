package procfs

import (
	"bytes"
	"math"
)

// A Mapping is one block of /proc/PID/smaps: an address range and its memory use.
// Its values cannot be compared with sums in [Smaps] that were read at another
// time.
type Mapping struct {
	Start, End uint64 // addresses
	Perms      string // such as "r-xp"
	Offset     uint64 // in the file, bytes
	Inode      uint64 // of the file, 0 if there is none
	Path       string // of a file, or a name such as "[heap]", or ""

	SizeBytes         uint64
	RSSBytes          uint64
	PSSBytes          uint64
	SharedCleanBytes  uint64
	SharedDirtyBytes  uint64
	PrivateCleanBytes uint64
	PrivateDirtyBytes uint64
	ReferencedBytes   uint64
	AnonymousBytes    uint64
	SwapBytes         uint64
}

// AppendMappings appends the blocks of an smaps file to dst. It ignores unknown
// keys. The strings are copies. On error it returns dst unchanged. Swap is
// the last line that is parsed: a block without it is truncated, which is an error.
func AppendMappings(dst []Mapping, text []byte) ([]Mapping, error) {
	got := dst
	ended := true // the current block has had its Swap line
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		key, value, isKey := cutSmapsKey(line)
		switch {
		case !complete:
			return dst, newParseError("smaps", "", line)
		case !isKey:
			var m Mapping
			if !ended {
				return dst, newParseError("smaps", "Swap", line)
			}
			if !m.parseHeading(line) {
				return dst, newParseError("smaps", "address", line)
			}
			got, ended = append(got, m), false
		case len(got) == len(dst):
			return dst, newParseError("smaps", string(key), value) // before the first heading
		default:
			to := got[len(got)-1].size(key)
			if to != nil && !setKB(to, value) {
				return dst, newParseError("smaps", string(key), value)
			}
			ended = ended || string(key) == "Swap"
		}
	}
	if !ended {
		return dst, newParseError("smaps", "Swap", nil)
	}
	return got, nil
}

// cutSmapsKey splits a line whose first field ends with a colon. ok is false for
// a heading, whose first field is an address range.
func cutSmapsKey(line []byte) (key, value []byte, ok bool) {
	word, rest := nextField(line)
	if len(word) == 0 || word[len(word)-1] != ':' {
		return nil, nil, false
	}
	return word[:len(word)-1], rest, true
}

// size returns the field for a key, or nil.
func (m *Mapping) size(key []byte) *uint64 {
	switch string(key) {
	case "Size":
		return &m.SizeBytes
	case "Rss":
		return &m.RSSBytes
	case "Pss":
		return &m.PSSBytes
	case "Shared_Clean":
		return &m.SharedCleanBytes
	case "Shared_Dirty":
		return &m.SharedDirtyBytes
	case "Private_Clean":
		return &m.PrivateCleanBytes
	case "Private_Dirty":
		return &m.PrivateDirtyBytes
	case "Referenced":
		return &m.ReferencedBytes
	case "Anonymous":
		return &m.AnonymousBytes
	case "Swap":
		return &m.SwapBytes
	}
	return nil
}

// parseHeading parses a line such as
//
//	7f0c-7f0d r-xp 00001000 fe:00 1234    /lib/a file.so
//
// The path is the rest of the line. It may contain any byte except a newline,
// which the kernel escapes as \012.
func (m *Mapping) parseHeading(line []byte) bool {
	addresses, rest := nextField(line)
	perms, rest := nextField(rest)
	offset, rest := nextField(rest)
	device, rest := nextField(rest)
	inode, rest := nextField(rest)
	start, end, found := bytes.Cut(addresses, []byte("-"))
	if !found || !setHex(&m.Start, start) || !setHex(&m.End, end) || m.End < m.Start ||
		len(perms) != 4 || !setHex(&m.Offset, offset) || len(device) == 0 || !setUint(&m.Inode, inode) {
		return false
	}
	m.Perms, m.Path = string(perms), string(trimBlanks(rest))
	return true
}

// setHex parses a hexadecimal number without prefix.
func setHex(to *uint64, digits []byte) bool {
	if len(digits) == 0 || len(digits) > 16 {
		return false
	}
	var n uint64
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 | uint64(c|0x20-'a'+10)
		default:
			return false
		}
	}
	*to = n
	return true
}

// Add adds the sizes of o to those of m. A sum that overflows is set to
// math.MaxUint64.
func (m *Mapping) Add(o *Mapping) {
	for _, pair := range [...]struct{ to, from *uint64 }{
		{&m.SizeBytes, &o.SizeBytes}, {&m.RSSBytes, &o.RSSBytes}, {&m.PSSBytes, &o.PSSBytes},
		{&m.SharedCleanBytes, &o.SharedCleanBytes}, {&m.SharedDirtyBytes, &o.SharedDirtyBytes},
		{&m.PrivateCleanBytes, &o.PrivateCleanBytes}, {&m.PrivateDirtyBytes, &o.PrivateDirtyBytes},
		{&m.ReferencedBytes, &o.ReferencedBytes}, {&m.AnonymousBytes, &o.AnonymousBytes},
		{&m.SwapBytes, &o.SwapBytes},
	} {
		if *pair.from > math.MaxUint64-*pair.to {
			*pair.to = math.MaxUint64
			continue
		}
		*pair.to += *pair.from
	}
}

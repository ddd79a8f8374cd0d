package procfs

import "math"

// Smaps sums the memory of all mappings of a process. It is exact where the
// resident set of [Statm] is not.
type Smaps struct {
	RSSBytes     uint64
	PSSBytes     uint64 // each page divided by the number of processes that map it
	USSBytes     uint64 // pages that no other process maps, huge pages too
	SwapBytes    uint64
	SwapPSSBytes uint64 // as PSSBytes, of what is swapped out; since 4.3
	Have         SmapsField
}

// SmapsField is a set of the sums in [Smaps]. It is empty for a process without
// memory of its own, whose smaps file is empty.
type SmapsField uint8

// The sums of an smaps file.
const (
	SmapsRSS SmapsField = 1 << iota
	SmapsPSS
	SmapsUSS
	SmapsSwap
	SmapsSwapPSS
)

// ParseSmaps fills dst from the text of an smaps_rollup file, which has one
// block of lines, or of an smaps file, which has one for each mapping. It skips
// the headings of blocks and keys it does not know, such as parts of a sum. A
// block that lacks Swap, which every kernel writes behind what is summed up, has
// lost its end; that whole blocks are missing, nothing in the text tells.
func ParseSmaps(text []byte, dst *Smaps) error {
	var got Smaps
	var open bool             // in a block, before its Swap
	var swaps, swapShares int // which a kernel writes in every block, or nowhere
	for len(text) > 0 {
		line, rest, whole := nextLine(text)
		text = rest
		if len(line) == 0 || line[0] != 'R' && line[0] != 'P' && line[0] != 'S' {
			continue // smaps files are long, and few of their lines are wanted
		}
		key, value := cutKey(line)
		to, bit := got.sum(key)
		if bit == 0 {
			continue
		}
		var n uint64
		if !setKB(&n, value) || !whole || n > math.MaxUint64-*to {
			return newParseError("smaps", string(key), value)
		}
		*to += n
		got.Have |= bit
		switch bit {
		case SmapsSwap:
			swaps, open = swaps+1, false
		case SmapsSwapPSS:
			swapShares++
		default:
			open = true
		}
	}
	if open || swapShares != 0 && swapShares != swaps {
		return newParseError("smaps", "Swap", nil)
	}
	*dst = got
	return nil
}

// sum returns the sum that the line with this key belongs to, and its bit.
func (s *Smaps) sum(key []byte) (*uint64, SmapsField) {
	switch string(key) {
	case "Rss":
		return &s.RSSBytes, SmapsRSS
	case "Pss":
		return &s.PSSBytes, SmapsPSS
	case "Private_Clean", "Private_Dirty", "Private_Hugetlb":
		return &s.USSBytes, SmapsUSS
	case "Swap":
		return &s.SwapBytes, SmapsSwap
	case "SwapPss":
		return &s.SwapPSSBytes, SmapsSwapPSS
	}
	return nil, 0
}

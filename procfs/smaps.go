package procfs

import "math"

// Smaps holds the memory sums over all mappings of a process. Unlike the resident
// set in [Statm] it is exact.
type Smaps struct {
	RSSBytes     uint64
	PSSBytes     uint64 // each page divided by the number of processes that map it
	USSBytes     uint64 // pages that no other process maps, including hugetlb pages
	SwapBytes    uint64
	SwapPSSBytes uint64 // as PSSBytes, for swapped pages; since Linux 4.3
	Have         SmapsField
}

// SmapsField is a set of the sums in [Smaps]. It is empty for a kernel thread or
// zombie, whose smaps file is empty.
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
// block, or of an smaps file, which has one block for each mapping. It ignores
// headings and unknown keys. A block without a Swap line, which every kernel
// writes after the other sums, is truncated and causes an error. Missing blocks
// cannot be detected.
func ParseSmaps(text []byte, dst *Smaps) error {
	var got Smaps
	var open bool             // within a block, before its Swap line
	var swaps, swapShares int // lines; a kernel writes SwapPss in every block or in none
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		if len(line) == 0 || line[0] != 'R' && line[0] != 'P' && line[0] != 'S' {
			continue // skip most lines early: smaps files are long
		}
		key, value := cutKey(line)
		to, bit := got.sum(key)
		if bit == 0 {
			continue
		}
		var n uint64
		if !setKB(&n, value) || !complete || n > math.MaxUint64-*to {
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

// sum returns the sum for a key and its bit, or nil and 0.
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

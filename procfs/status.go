package procfs

import (
	"bytes"
	"math"
)

// Status is what /proc/PID/status and /proc/PID/task/TID/status say.
type Status struct {
	State  byte      // as in [Stat]
	UIDs   [4]uint32 // real, effective, saved, file system
	GIDs   [4]uint32 // likewise
	NSPIDs int       // in how many nested PID namespaces, ours included, it has a PID; since 4.1

	Threads int

	// What follows up to HugetlbBytes describes the memory of the process.
	// Kernel threads and zombies have none, and lack the lines.
	PeakVirtualBytes, VirtualBytes   uint64
	PeakResidentBytes, ResidentBytes uint64
	ResidentAnonBytes                uint64 // since 4.5, as the next two
	ResidentFileBytes                uint64
	ResidentShmemBytes               uint64
	SwapBytes                        uint64 // without shared memory; since 2.6.34
	HugetlbBytes                     uint64 // not part of ResidentBytes; since 4.4

	VoluntarySwitches, NonvoluntarySwitches uint64 // context switches; of the one thread only

	Have StatusField // which lines there were
}

// StatusField is a set of the lines of a status file.
type StatusField uint32

// The lines of a status file, and those that come together.
const (
	StatusState StatusField = 1 << iota
	StatusUIDs
	StatusGIDs
	StatusNSPIDs
	StatusThreads
	StatusPeakVirtual
	StatusVirtual
	StatusPeakResident
	StatusResident
	StatusResidentAnon
	StatusResidentFile
	StatusResidentShmem
	StatusSwap
	StatusHugetlb
	StatusVoluntarySwitches
	StatusNonvoluntarySwitches

	StatusVM       = StatusPeakVirtual | StatusVirtual | StatusPeakResident | StatusResident
	StatusRSSKinds = StatusResidentAnon | StatusResidentFile | StatusResidentShmem
	StatusSwitches = StatusVoluntarySwitches | StatusNonvoluntarySwitches
)

// ParseStatus fills dst from the text of a status file. It skips lines whose
// key it does not know. A key stands at the start of a line, where no process
// can put one: the kernel escapes the newlines of a process's name here.
func ParseStatus(text []byte, dst *Status) error {
	var got Status
	for len(text) > 0 {
		line, rest, whole := nextLine(text)
		text = rest
		if len(line) == 0 || !startsStatusKey(line[0]) {
			continue // most lines are not wanted
		}
		key, value := cutKey(line)
		bit, ok := got.set(key, value)
		if bit != 0 && (!ok || !whole) {
			return newParseError("status", string(key), value)
		}
		got.Have |= bit
	}
	*dst = got
	return nil
}

// ParseStatusFields is ParseStatus for who wants some of the lines, and leaves the
// others alone: who reads thousands of processes needs five of sixty. A line that
// comes sooner than the kernel writes it is not found.
func ParseStatusFields(text []byte, want StatusField, dst *Status) error {
	var got Status
	for _, l := range statusLines {
		if want&l.bit == 0 {
			continue
		}
		found := lineWith(text, l.start)
		if found == nil {
			continue
		}
		line, rest, whole := nextLine(found)
		key, value := cutKey(line)
		if _, ok := got.set(key, value); !ok || !whole {
			return newParseError("status", string(key), value)
		}
		got.Have |= l.bit
		text = rest
	}
	*dst = got
	return nil
}

// lineWith returns text from the first line on that starts so, nil if there is
// none. The name of the process, which the first line has, may hold anything but
// a newline.
func lineWith(text, start []byte) []byte {
	for from := 0; ; {
		at := bytes.Index(text[from:], start)
		if at < 0 {
			return nil
		}
		if at += from; at == 0 || text[at-1] == '\n' {
			return text[at:]
		}
		from = at + 1
	}
}

// statusLines are the lines in the order in which the kernel writes them, and how
// each starts.
var statusLines = [...]struct {
	bit   StatusField
	start []byte
}{
	{StatusState, []byte("State:")},
	{StatusUIDs, []byte("Uid:")},
	{StatusGIDs, []byte("Gid:")},
	{StatusNSPIDs, []byte("NSpid:")},
	{StatusPeakVirtual, []byte("VmPeak:")},
	{StatusVirtual, []byte("VmSize:")},
	{StatusPeakResident, []byte("VmHWM:")},
	{StatusResident, []byte("VmRSS:")},
	{StatusResidentAnon, []byte("RssAnon:")},
	{StatusResidentFile, []byte("RssFile:")},
	{StatusResidentShmem, []byte("RssShmem:")},
	{StatusSwap, []byte("VmSwap:")},
	{StatusHugetlb, []byte("HugetlbPages:")},
	{StatusThreads, []byte("Threads:")},
	{StatusVoluntarySwitches, []byte("voluntary_ctxt_switches:")},
	{StatusNonvoluntarySwitches, []byte("nonvoluntary_ctxt_switches:")},
}

// startsStatusKey reports whether one of the keys that set knows starts with c.
func startsStatusKey(c byte) bool {
	switch c {
	case 'S', 'U', 'G', 'N', 'T', 'V', 'R', 'H', 'v', 'n':
		return true
	}
	return false
}

// set stores the value of one line. It returns the line's bit, 0 for one of no
// interest, and whether the value is what the kernel prints.
func (s *Status) set(key, value []byte) (bit StatusField, ok bool) {
	switch string(key) {
	case "State":
		return StatusState, setState(&s.State, value)
	case "Uid":
		return StatusUIDs, setOwners(&s.UIDs, value)
	case "Gid":
		return StatusGIDs, setOwners(&s.GIDs, value)
	case "NSpid":
		s.NSPIDs = countFields(value)
		return StatusNSPIDs, s.NSPIDs > 0
	case "Threads":
		return StatusThreads, setInt(&s.Threads, value)
	case "VmPeak":
		return StatusPeakVirtual, setKB(&s.PeakVirtualBytes, value)
	case "VmSize":
		return StatusVirtual, setKB(&s.VirtualBytes, value)
	case "VmHWM":
		return StatusPeakResident, setKB(&s.PeakResidentBytes, value)
	case "VmRSS":
		return StatusResident, setKB(&s.ResidentBytes, value)
	case "RssAnon":
		return StatusResidentAnon, setKB(&s.ResidentAnonBytes, value)
	case "RssFile":
		return StatusResidentFile, setKB(&s.ResidentFileBytes, value)
	case "RssShmem":
		return StatusResidentShmem, setKB(&s.ResidentShmemBytes, value)
	case "VmSwap":
		return StatusSwap, setKB(&s.SwapBytes, value)
	case "HugetlbPages":
		return StatusHugetlb, setKB(&s.HugetlbBytes, value)
	case "voluntary_ctxt_switches":
		return StatusVoluntarySwitches, setUint(&s.VoluntarySwitches, value)
	case "nonvoluntary_ctxt_switches":
		return StatusNonvoluntarySwitches, setUint(&s.NonvoluntarySwitches, value)
	}
	return 0, true
}

// setState takes the letter of a value such as "S (sleeping)".
func setState(to *byte, value []byte) bool {
	letter, _ := nextField(value)
	if len(letter) != 1 || !isLetter(letter[0]) {
		return false
	}
	*to = letter[0]
	return true
}

// setOwners parses four user or group IDs.
func setOwners(to *[4]uint32, value []byte) bool {
	for i := range to {
		field, rest := nextField(value)
		n, ok := parseUint(field)
		if !ok || n > math.MaxUint32 {
			return false
		}
		to[i], value = uint32(n), rest
	}
	return len(trimBlanks(value)) == 0
}

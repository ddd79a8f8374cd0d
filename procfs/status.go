package procfs

import (
	"bytes"
	"math"
)

// Status holds values of /proc/PID/status or /proc/PID/task/TID/status.
type Status struct {
	State  byte      // as in [Stat]
	UIDs   [4]uint32 // real, effective, saved, file system
	GIDs   [4]uint32 // in the same order
	NSPIDs int       // number of PIDs: 1, and 1 for each nested PID namespace; since Linux 4.1

	Threads int

	// The fields up to HugetlbBytes describe the memory of the process. Kernel
	// threads and zombies lack these lines.
	PeakVirtualBytes, VirtualBytes   uint64
	PeakResidentBytes, ResidentBytes uint64
	ResidentAnonBytes                uint64 // since Linux 4.5, like the next two
	ResidentFileBytes                uint64
	ResidentShmemBytes               uint64
	SwapBytes                        uint64 // without shared memory; since Linux 2.6.34
	HugetlbBytes                     uint64 // not part of ResidentBytes; since Linux 4.4

	VoluntarySwitches, NonvoluntarySwitches uint64 // context switches of this thread only

	Have StatusField // lines that were read
}

// StatusField is a set of the lines of a status file.
type StatusField uint32

// The lines of a status file, and sets of lines.
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
	StatusSwitches = StatusVoluntarySwitches | StatusNonvoluntarySwitches
)

// ParseStatus fills dst from the text of a status file. It ignores unknown keys. A
// process cannot forge a line with its name, because the kernel escapes newlines
// in it.
func ParseStatus(text []byte, dst *Status) error {
	var got Status
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		if len(line) == 0 || !startsStatusKey(line[0]) {
			continue // skip most lines early
		}
		key, value := cutKey(line)
		bit, ok := got.set(key, value)
		if bit != 0 && (!ok || !complete) {
			return newParseError("status", string(key), value)
		}
		got.Have |= bit
	}
	*dst = got
	return nil
}

// ParseStatusFields is like [ParseStatus], but parses only the lines in want. This
// is faster: a walk needs 5 of about 60 lines. It expects the lines in the order of
// the kernel.
func ParseStatusFields(text []byte, want StatusField, dst *Status) error {
	var got Status
	for _, l := range statusLines {
		if want&l.bit == 0 {
			continue
		}
		found := fromLine(text, l.start)
		if found == nil {
			continue
		}
		line, rest, complete := nextLine(found)
		key, value := cutKey(line)
		if _, ok := got.set(key, value); !ok || !complete {
			return newParseError("status", string(key), value)
		}
		got.Have |= l.bit
		text = rest
	}
	*dst = got
	return nil
}

// fromLine returns text from the first line that begins with start, or nil. start
// may also occur within the name of the process in the first line.
func fromLine(text, start []byte) []byte {
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

// statusLines holds the start of each line, in the order of the kernel.
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

// startsStatusKey reports whether a key of Status.set starts with c.
func startsStatusKey(c byte) bool {
	switch c {
	case 'S', 'U', 'G', 'N', 'T', 'V', 'R', 'H', 'v', 'n':
		return true
	}
	return false
}

// set stores the value of one line. It returns the bit of the line, or 0 for an
// unknown key, and whether the value is valid.
func (s *Status) set(key, value []byte) (bit StatusField, ok bool) {
	switch string(key) {
	case "State":
		return StatusState, setState(&s.State, value)
	case "Uid":
		return StatusUIDs, setIDs(&s.UIDs, value)
	case "Gid":
		return StatusGIDs, setIDs(&s.GIDs, value)
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

// setState parses the letter of a value such as "S (sleeping)".
func setState(to *byte, value []byte) bool {
	letter, _ := nextField(value)
	if len(letter) != 1 || !isLetter(letter[0]) {
		return false
	}
	*to = letter[0]
	return true
}

// setIDs parses four user or group IDs.
func setIDs(to *[4]uint32, value []byte) bool {
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

// ParseTGID returns the thread-group ID, which is the PID of the process, from the
// text of a status file.
func ParseTGID(text []byte) (int, error) {
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		key, value := cutKey(line)
		if string(key) != "Tgid" {
			continue
		}
		var pid int
		if !setInt(&pid, value) || !complete {
			return 0, newParseError("status", "Tgid", value)
		}
		return pid, nil
	}
	return 0, newParseError("status", "Tgid", nil)
}

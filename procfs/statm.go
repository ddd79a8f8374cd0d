package procfs

// Statm holds the values of /proc/PID/statm, in pages. All are 0 for kernel threads
// and zombies.
type Statm struct {
	Size     uint64 // virtual
	Resident uint64 // inexact before Linux 6.16, without a part of the counters per CPU or, before 6.2, per thread
	Shared   uint64 // resident file and shared memory pages
	Text     uint64
	Lib      uint64 // 0 since Linux 2.6
	Data     uint64 // including the stack
	Dirty    uint64 // 0 since Linux 2.6
}

// ParseStatm fills dst from the text of a statm file.
func ParseStatm(text []byte, dst *Statm) error {
	var got Statm
	line, _, complete := nextLine(text)
	if !complete || !setFields(line, &got.Size, &got.Resident, &got.Shared, &got.Text, &got.Lib, &got.Data, &got.Dirty) {
		return newParseError("statm", "", text)
	}
	*dst = got
	return nil
}

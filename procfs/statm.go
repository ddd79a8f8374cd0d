package procfs

// Statm is what /proc/PID/statm says, in pages. It is all zeros for processes
// without memory of their own.
type Statm struct {
	Size     uint64 // virtual
	Resident uint64 // may lag behind smaps by some pages for each CPU
	Shared   uint64 // resident pages of files and shared memory
	Text     uint64
	Lib      uint64 // 0 since 2.6
	Data     uint64 // with the stack
	Dirty    uint64 // 0 since 2.6
}

// ParseStatm fills dst from the text of a statm file.
func ParseStatm(text []byte, dst *Statm) error {
	var got Statm
	line, _, whole := nextLine(text)
	if !whole || !setFields(line, &got.Size, &got.Resident, &got.Shared, &got.Text, &got.Lib, &got.Data, &got.Dirty) {
		return newParseError("statm", "", text)
	}
	*dst = got
	return nil
}

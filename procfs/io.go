package procfs

// IO holds the values of /proc/PID/io or /proc/PID/task/TID/io. They are in bytes,
// except the numbers of system calls. The values of a process include threads
// that have exited and children that it has reaped.
type IO struct {
	ReadChars, WriteChars       uint64 // passed to read and write system calls, for any kind of file
	ReadSyscalls, WriteSyscalls uint64 // number of calls
	ReadBytes                   uint64 // fetched from storage
	WriteBytes                  uint64 // to be written to storage
	CancelledWriteBytes         uint64 // part of WriteBytes that was truncated before it was written
	Have                        IOField
}

// IOField is a set of the lines of an io file.
type IOField uint8

// The lines of an io file. A kernel without CONFIG_TASK_IO_ACCOUNTING has no io
// files.
const (
	IOReadChars IOField = 1 << iota
	IOWriteChars
	IOReadSyscalls
	IOWriteSyscalls
	IOReadBytes
	IOWriteBytes
	IOCancelledWriteBytes

	IOAll IOField = 1<<iota - 1
)

// ParseIO fills dst from the text of an io file. It ignores unknown keys.
func ParseIO(text []byte, dst *IO) error {
	var got IO
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		key, value := cutKey(line)
		to, bit := got.field(key)
		if bit == 0 {
			continue
		}
		if !setUint(to, value) || !complete {
			return newParseError("io", string(key), value)
		}
		got.Have |= bit
	}
	*dst = got
	return nil
}

// field returns the field for a key and its bit, or nil and 0.
func (o *IO) field(key []byte) (*uint64, IOField) {
	switch string(key) {
	case "rchar":
		return &o.ReadChars, IOReadChars
	case "wchar":
		return &o.WriteChars, IOWriteChars
	case "syscr":
		return &o.ReadSyscalls, IOReadSyscalls
	case "syscw":
		return &o.WriteSyscalls, IOWriteSyscalls
	case "read_bytes":
		return &o.ReadBytes, IOReadBytes
	case "write_bytes":
		return &o.WriteBytes, IOWriteBytes
	case "cancelled_write_bytes":
		return &o.CancelledWriteBytes, IOCancelledWriteBytes
	}
	return nil, 0
}

package procfs

// IO is what /proc/PID/io and /proc/PID/task/TID/io say, in bytes unless the
// name says otherwise. That of a process includes its threads that have exited.
type IO struct {
	ReadChars, WriteChars       uint64 // passed to and from system calls, whatever the kind of file
	ReadSyscalls, WriteSyscalls uint64 // number of calls
	ReadBytes                   uint64 // fetched from storage
	WriteBytes                  uint64 // to be sent to storage
	CancelledWriteBytes         uint64 // part of WriteBytes truncated before it was sent, by whoever wrote it
	Have                        IOField
}

// IOField is a set of the lines of an io file.
type IOField uint8

// The lines of an io file. Kernels have all of them or, if built without
// CONFIG_TASK_IO_ACCOUNTING, no such file.
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

// ParseIO fills dst from the text of an io file. It skips lines whose key it
// does not know.
func ParseIO(text []byte, dst *IO) error {
	var got IO
	for len(text) > 0 {
		line, rest, whole := nextLine(text)
		text = rest
		key, value := cutKey(line)
		to, bit := got.field(key)
		if bit == 0 {
			continue
		}
		if !setUint(to, value) || !whole {
			return newParseError("io", string(key), value)
		}
		got.Have |= bit
	}
	*dst = got
	return nil
}

// field returns where the number behind a key belongs, and its bit.
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

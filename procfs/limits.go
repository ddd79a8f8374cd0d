package procfs

import (
	"bytes"
	"math"
)

// Unlimited is the value of a limit that is not set.
const Unlimited = math.MaxUint64

// A Limit is a resource limit of a process, see getrlimit(2).
type Limit struct {
	Soft uint64 // enforced
	Hard uint64 // maximum to which the process may raise Soft
}

// Limits holds the values of /proc/PID/limits.
type Limits struct {
	CPU            Limit // seconds
	FileSize       Limit // bytes
	Data           Limit // bytes
	Stack          Limit // bytes
	Core           Limit // bytes
	RSS            Limit // bytes; not enforced
	Processes      Limit // number of threads of the user
	OpenFiles      Limit // maximum file descriptor plus 1
	LockedMemory   Limit // bytes
	AddressSpace   Limit // bytes
	FileLocks      Limit // not enforced
	PendingSignals Limit // number of queued signals of the user
	MsgQueue       Limit // bytes, for the user
	Nice           Limit // a value n permits nice values down to 20 - n
	RTPriority     Limit
	RTTime         Limit // microseconds; since 2.6.25
	Have           LimitField
}

// LimitField is a set of the lines of a limits file.
type LimitField uint16

// The lines of a limits file.
const (
	LimitCPU LimitField = 1 << iota
	LimitFileSize
	LimitData
	LimitStack
	LimitCore
	LimitRSS
	LimitProcesses
	LimitOpenFiles
	LimitLockedMemory
	LimitAddressSpace
	LimitFileLocks
	LimitPendingSignals
	LimitMsgQueue
	LimitNice
	LimitRTPriority
	LimitRTTime
)

// ParseLimits fills dst from the text of a limits file. It ignores the header and
// unknown limits.
func ParseLimits(text []byte, dst *Limits) error {
	const nameWidth = 25 // of the first column; names contain spaces and are padded with spaces
	var got Limits
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		width := min(nameWidth, len(line))
		name, values := bytes.TrimRight(line[:width], " "), line[width:]
		to, bit := got.field(name)
		if bit == 0 {
			continue
		}
		soft, units := nextField(values)
		hard, _ := nextField(units)
		if !setLimit(&to.Soft, soft) || !setLimit(&to.Hard, hard) || !complete {
			return newParseError("limits", string(name), values)
		}
		got.Have |= bit
	}
	*dst = got
	return nil
}

// setLimit parses one of the two values of a limit.
func setLimit(to *uint64, value []byte) bool {
	if string(value) == "unlimited" {
		*to = Unlimited
		return true
	}
	return setUint(to, value)
}

// field returns the limit with this name and its bit, or nil and 0.
func (l *Limits) field(name []byte) (*Limit, LimitField) {
	switch string(name) {
	case "Max cpu time":
		return &l.CPU, LimitCPU
	case "Max file size":
		return &l.FileSize, LimitFileSize
	case "Max data size":
		return &l.Data, LimitData
	case "Max stack size":
		return &l.Stack, LimitStack
	case "Max core file size":
		return &l.Core, LimitCore
	case "Max resident set":
		return &l.RSS, LimitRSS
	case "Max processes":
		return &l.Processes, LimitProcesses
	case "Max open files":
		return &l.OpenFiles, LimitOpenFiles
	case "Max locked memory":
		return &l.LockedMemory, LimitLockedMemory
	case "Max address space":
		return &l.AddressSpace, LimitAddressSpace
	case "Max file locks":
		return &l.FileLocks, LimitFileLocks
	case "Max pending signals":
		return &l.PendingSignals, LimitPendingSignals
	case "Max msgqueue size":
		return &l.MsgQueue, LimitMsgQueue
	case "Max nice priority":
		return &l.Nice, LimitNice
	case "Max realtime priority":
		return &l.RTPriority, LimitRTPriority
	case "Max realtime timeout":
		return &l.RTTime, LimitRTTime
	}
	return nil, 0
}

// At returns the limit with bit 1<<k in Have, or the zero Limit if k is out of
// range.
func (l *Limits) At(k int) Limit {
	all := [...]*Limit{&l.CPU, &l.FileSize, &l.Data, &l.Stack, &l.Core, &l.RSS, &l.Processes, &l.OpenFiles,
		&l.LockedMemory, &l.AddressSpace, &l.FileLocks, &l.PendingSignals, &l.MsgQueue, &l.Nice, &l.RTPriority, &l.RTTime}
	if k < 0 || k >= len(all) {
		return Limit{}
	}
	return *all[k]
}

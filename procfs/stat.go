package procfs

import (
	"bytes"
	"math"
	"strings"
)

// Stat holds the values of /proc/PID/stat or /proc/PID/task/TID/stat. Ticks are
// in USER_HZ, which is 100 per second on most architectures. StackStart, ArgStart
// and ArgEnd are 0 if the reader may not ptrace the process.
type Stat struct {
	PID   int
	Comm  []byte // name of the thread; may contain any bytes; points into the text
	State byte   // such as R, S, D, Z, T, t, I, X

	PPID    int
	PGRP    int   // -1 for a process that is being reaped
	Session int   // -1 for a process that is being reaped
	TTY     int32 // device number of the controlling terminal, 0 for none; signed in the text
	Flags   uint64

	MinorFaults, ChildMinorFaults uint64
	MajorFaults, ChildMajorFaults uint64

	UserTicks, SystemTicks           uint64
	ChildUserTicks, ChildSystemTicks uint64 // of children that have been reaped

	Priority      int // negative for real-time policies
	Nice          int
	Threads       int    // 0 for a process that is being reaped
	StartTicks    uint64 // since boot; identifies a process together with PID
	VirtualBytes  uint64
	ResidentPages uint64

	StackStart   uint64 // address
	CPU          int    // that it last ran on; since Linux 2.2
	BlockIOTicks uint64 // time waiting for block I/O; since Linux 2.6.18; 0 without delay accounting
	ArgStart     uint64 // address of the command line; since Linux 3.5
	ArgEnd       uint64
}

// Field numbers of stat as in proc(5), which counts from 1.
const (
	firstNumber  = 4 // 1 to 3 are pid, comm and state
	lastRequired = 24
	lastWanted   = 49

	// In these sets, bit k is field k.
	nonNegative uint64 = 1<<4 | 1<<9 | 1<<10 | 1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<15 |
		1<<20 | 1<<22 | 1<<23 | 1<<28 | 1<<39 | 1<<42 | 1<<48 | 1<<49
	narrow  uint64 = 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<18 | 1<<19 | 1<<20 | 1<<39 // int in the kernel
	floored uint64 = 1<<16 | 1<<17 | 1<<24                                     // unsigned, but signed in old kernels

	statNames = "pid comm state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime " +
		"cutime cstime priority nice num_threads itrealvalue starttime vsize rss rsslim startcode endcode " +
		"startstack kstkesp kstkeip signal blocked sigignore sigcatch wchan nswap cnswap exit_signal processor " +
		"rt_priority policy delayacct_blkio_ticks guest_time cguest_time start_data end_data start_brk arg_start arg_end"
)

// statNumbers holds fields 4 to 49, indexed by field number. Signed fields are in
// two's complement.
type statNumbers [lastWanted + 1]uint64

// ParseStat fills dst from the text of a stat file. All fields up to the resident
// set are required. Fields that an older kernel lacks are 0. Fields after the last
// one in [Stat] are ignored. The name ends at the last closing parenthesis,
// because it may contain parentheses, spaces and newlines.
func ParseStat(text []byte, dst *Stat) error {
	open := bytes.IndexByte(text, '(')
	if open < 1 || text[open-1] != ' ' {
		return statError(1, text)
	}
	end := lastParenthesis(text)
	if end < open {
		return statError(2, text[open:])
	}
	tail := text[end+1:]
	if len(tail) < 4 || tail[0] != ' ' || !isLetter(tail[1]) || tail[2] != ' ' {
		return statError(3, tail)
	}
	got := Stat{Comm: text[open+1 : end], State: tail[1]}
	if !setInt(&got.PID, text[:open-1]) {
		return statError(1, text)
	}
	if tail[len(tail)-1] != '\n' {
		return newParseError("stat", "", tail) // truncated
	}
	var f statNumbers
	if bad, at := f.parse(tail[3:]); bad != 0 {
		return statError(bad, at)
	}
	got.assign(&f)
	*dst = got
	return nil
}

// lastParenthesis returns the index of the last ")" of text, or -1. It searches
// forward, because bytes.IndexByte uses vector instructions and
// bytes.LastIndexByte does not.
func lastParenthesis(text []byte) int {
	last := -1
	for {
		i := bytes.IndexByte(text[last+1:], ')')
		if i < 0 {
			return last
		}
		last += 1 + i
	}
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// statError returns a [*ParseError] for field k of stat.
func statError(k int, at []byte) error {
	return newParseError("stat", strings.Fields(statNames)[k-1], at)
}

// parse parses numbers that are separated by single spaces and terminated by a
// newline at the end of text. It returns 0, or the number of the first invalid
// field and the text of it.
func (f *statNumbers) parse(text []byte) (bad int, at []byte) {
	k, start, n, negative := firstNumber, 0, uint64(0), false
	for i, c := range text {
		if d := c - '0'; d <= 9 {
			n = n*10 + uint64(d)
			continue
		}
		if c == '-' && i == start && !negative {
			start, negative = i+1, true
			continue
		}
		ok := i > start && (c == ' ' || c == '\n' && i == len(text)-1)
		if ok && i-start >= maxDigits { // n may have overflowed
			n, ok = parseUint(text[start:i])
		}
		if ok && (negative || n > math.MaxInt32 && narrow>>k&1 != 0) {
			n, ok = fit(k, n, negative)
		}
		if !ok {
			return k, text[start:]
		}
		f[k] = n
		if k++; k > lastWanted {
			return 0, nil
		}
		start, n, negative = i+1, 0, false
	}
	if k <= lastRequired {
		return k, nil
	}
	return 0, nil
}

// fit returns the stored value of field k, and whether it is in range.
func fit(k int, n uint64, negative bool) (uint64, bool) {
	bit, limit := uint64(1)<<k, uint64(math.MaxUint64)
	switch {
	case narrow&bit != 0:
		limit = math.MaxInt32
	case negative:
		limit = math.MaxInt64
	}
	switch {
	case !negative:
		return n, n <= limit
	case nonNegative&bit != 0 || n > limit+1:
		return 0, false
	case floored&bit != 0:
		return 0, true
	}
	return -n, true
}

// assign copies the fields of [Stat].
func (s *Stat) assign(f *statNumbers) {
	s.PPID, s.PGRP, s.Session = int(int64(f[4])), int(int64(f[5])), int(int64(f[6]))
	s.TTY = int32(f[7])
	s.Flags = f[9]
	s.MinorFaults, s.ChildMinorFaults = f[10], f[11]
	s.MajorFaults, s.ChildMajorFaults = f[12], f[13]
	s.UserTicks, s.SystemTicks = f[14], f[15]
	s.ChildUserTicks, s.ChildSystemTicks = f[16], f[17]
	s.Priority, s.Nice = int(int64(f[18])), int(int64(f[19]))
	s.Threads = int(f[20])
	s.StartTicks = f[22]
	s.VirtualBytes, s.ResidentPages = f[23], f[24]
	s.StackStart = f[28]
	s.CPU = int(f[39])
	s.BlockIOTicks = f[42]
	s.ArgStart, s.ArgEnd = f[48], f[49]
}

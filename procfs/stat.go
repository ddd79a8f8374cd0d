package procfs

import (
	"bytes"
	"math"
	"strings"
)

// Stat is what /proc/PID/stat and /proc/PID/task/TID/stat say. Ticks are those
// of user space, 100 a second nearly everywhere. The kernel prints zeros for
// StackStart, ArgStart and ArgEnd to readers that may not trace the process.
type Stat struct {
	PID   int
	Comm  []byte // the name the process gave itself; points into the text, any bytes may be in it
	State byte   // R, S, D, Z, T, t, I, X and what else kernels had

	PPID    int
	PGRP    int   // -1 of a process that is being reaped
	Session int   // likewise
	TTY     int32 // device number of the terminal, 0 for none; printed signed
	Flags   uint64

	MinorFaults, ChildMinorFaults uint64
	MajorFaults, ChildMajorFaults uint64

	UserTicks, SystemTicks           uint64
	ChildUserTicks, ChildSystemTicks uint64 // of children that were waited for

	Priority      int // below 0 for real-time policies
	Nice          int
	Threads       int    // 0 of a process that is being reaped
	StartTicks    uint64 // after boot; with PID, names a process for good
	VirtualBytes  uint64
	ResidentPages uint64

	StackStart   uint64 // address
	CPU          int    // where it ran last; since 2.2
	BlockIOTicks uint64 // time spent waiting for block I/O; since 2.6.18, 0 unless delay accounting is on
	ArgStart     uint64 // address of the command line; since 3.5
	ArgEnd       uint64
}

// Numbers of the fields of stat in the order of proc(5), counted from 1.
const (
	firstNumber  = 4 // 1 to 3 are pid, comm and state
	lastRequired = 24
	lastWanted   = 49

	// These three sets have bit k set for field k.
	nonNegative uint64 = 1<<4 | 1<<9 | 1<<10 | 1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<15 |
		1<<20 | 1<<22 | 1<<23 | 1<<28 | 1<<39 | 1<<42 | 1<<48 | 1<<49
	narrow  uint64 = 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<18 | 1<<19 | 1<<20 | 1<<39 // an int in the kernel
	floored uint64 = 1<<16 | 1<<17 | 1<<24                                     // unsigned, but old kernels print them signed

	statNames = "pid comm state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime " +
		"cutime cstime priority nice num_threads itrealvalue starttime vsize rss rsslim startcode endcode " +
		"startstack kstkesp kstkeip signal blocked sigignore sigcatch wchan nswap cnswap exit_signal processor " +
		"rt_priority policy delayacct_blkio_ticks guest_time cguest_time start_data end_data start_brk arg_start arg_end"
)

// statNumbers holds fields 4 to 49 under their own numbers, signed ones as two's
// complement.
type statNumbers [lastWanted + 1]uint64

// ParseStat fills dst from the text of a stat file. All fields up to the
// resident set must be there; those that older kernels lack are zero, and those
// after the last one in [Stat] are not looked at. The name ends at the last
// closing parenthesis, for it may hold others, spaces and newlines.
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
		return newParseError("stat", "", tail) // it has lost its end
	}
	var f statNumbers
	if bad, at := f.parse(tail[3:]); bad != 0 {
		return statError(bad, at)
	}
	got.assign(&f)
	*dst = got
	return nil
}

// lastParenthesis returns the index of the last ")" of text, or -1. It goes
// forward, as bytes.IndexByte looks at many bytes at once, and
// bytes.LastIndexByte at one.
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

// statError says that field number k of stat is not as it should be.
func statError(k int, at []byte) error {
	return newParseError("stat", strings.Fields(statNames)[k-1], at)
}

// parse reads numbers separated by single spaces and ended by the newline that
// is the last byte of text. It returns 0, or the number of the first field that
// is wrong and the text there.
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

// fit returns what field number k is stored as, and whether it can be that.
func fit(k int, n uint64, negative bool) (uint64, bool) {
	bit, most := uint64(1)<<k, uint64(math.MaxUint64)
	switch {
	case narrow&bit != 0:
		most = math.MaxInt32
	case negative:
		most = math.MaxInt64
	}
	switch {
	case !negative:
		return n, n <= most
	case nonNegative&bit != 0 || n > most+1:
		return 0, false
	case floored&bit != 0:
		return 0, true
	}
	return -n, true
}

// assign copies the fields that [Stat] has.
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

package procfs

import "bytes"

// CPUStat holds the CPU time of the machine from /proc/stat, in clock ticks, summed over all
// CPUs.
type CPUStat struct {
	BusyTicks uint64 // user, nice, system, irq and softirq time
	CPUs      int    // CPUs that are online
}

// ParseCPUStat fills dst from the text of /proc/stat.
func ParseCPUStat(text []byte, dst *CPUStat) error {
	line, rest, complete := nextLine(text)
	key, values := nextField(line)
	if string(key) != "cpu" || !complete {
		return newParseError("stat", "cpu", line)
	}
	// user, nice, system, idle, iowait, irq, softirq. User time includes that of guests, and
	// steal time is that of other virtual machines.
	var ticks [7]uint64
	for i := range ticks {
		var field []byte
		if field, values = nextField(values); !setUint(&ticks[i], field) {
			return newParseError("stat", "cpu", line)
		}
	}
	got := CPUStat{BusyTicks: ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]}
	for bytes.HasPrefix(rest, []byte("cpu")) {
		line, rest, complete = nextLine(rest)
		if !complete {
			return newParseError("stat", "cpu", line)
		}
		got.CPUs++
	}
	if got.CPUs == 0 {
		return newParseError("stat", "cpu", rest)
	}
	*dst = got
	return nil
}

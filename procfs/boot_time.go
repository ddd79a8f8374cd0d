package procfs

import (
	"bytes"
	"math"
)

// ParseBootTime returns the boot time of the host, in seconds since the Unix
// epoch, from the btime line of /proc/stat. In a container that line may be
// missing.
func ParseBootTime(text []byte) (seconds uint64, err error) {
	const key = "btime "
	at := text
	if !bytes.HasPrefix(at, []byte(key)) {
		i := bytes.Index(at, []byte("\n"+key))
		if i < 0 {
			return 0, newParseError("stat", "btime", nil)
		}
		at = at[i+1:]
	}
	line, _, complete := nextLine(at[len(key):])
	seconds, ok := parseUint(line)
	if !ok || !complete {
		return 0, newParseError("stat", "btime", line)
	}
	return seconds, nil
}

// ParseUptime returns the uptime of the host, in hundredths of a second, from the
// first number of /proc/uptime. It ignores decimals after the second.
func ParseUptime(text []byte) (centiseconds uint64, err error) {
	line, _, complete := nextLine(text)
	number, rest := nextField(line)
	digits, decimals, point := bytes.Cut(number, []byte("."))
	n, ok := parseUint(digits)
	fraction, good := parseDecimals(decimals)
	ok = ok && (good || !point)
	if !ok || n > (math.MaxUint64-fraction)/100 || !complete && len(rest) == 0 {
		return 0, newParseError("uptime", "", text)
	}
	return n*100 + fraction, nil
}

// parseDecimals returns the hundredths of a fraction, given its digits after the
// decimal point. There must be at least one digit.
func parseDecimals(digits []byte) (hundredths uint64, ok bool) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	for i := range 2 {
		hundredths *= 10
		if i < len(digits) {
			hundredths += uint64(digits[i] - '0')
		}
	}
	return hundredths, len(digits) > 0
}

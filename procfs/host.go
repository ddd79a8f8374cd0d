package procfs

import (
	"bytes"
	"math"
)

// ParseBootTime returns when the host booted, in seconds after 1970, from the
// text of /proc/stat. A container's own file system may hide that line.
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
	line, _, whole := nextLine(at[len(key):])
	seconds, ok := parseUint(line)
	if !ok || !whole {
		return 0, newParseError("stat", "btime", line)
	}
	return seconds, nil
}

// ParseUptime returns for how long the host has been up, in hundredths of a
// second, from the text of /proc/uptime. It takes its first number, which may
// have any number of decimals; those after the second are cut off.
func ParseUptime(text []byte) (centiseconds uint64, err error) {
	line, _, whole := nextLine(text)
	number, rest := nextField(line)
	digits, decimals, point := bytes.Cut(number, []byte("."))
	n, ok := parseUint(digits)
	fraction, good := parseDecimals(decimals)
	ok = ok && (good || !point)
	if !ok || n > (math.MaxUint64-fraction)/100 || !whole && len(rest) == 0 {
		return 0, newParseError("uptime", "", text)
	}
	return n*100 + fraction, nil
}

// parseDecimals returns the hundredths that stand behind a decimal point. There
// must be a digit.
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

package procfs

// Sockstat holds the numbers of sockets of one network namespace.
type Sockstat struct {
	TCP, UDP   uint64 // IPv4, without TCP sockets in TIME_WAIT
	TCP6, UDP6 uint64
}

// ParseSockstat sets the fields of dst whose lines are in text, the text of
// /proc/PID/net/sockstat or sockstat6. It leaves the other fields unchanged.
func ParseSockstat(text []byte, dst *Sockstat) error {
	got := *dst
	for len(text) > 0 {
		line, rest, complete := nextLine(text)
		text = rest
		key, value := cutKey(line)
		var to *uint64
		switch string(key) {
		case "TCP":
			to = &got.TCP
		case "UDP":
			to = &got.UDP
		case "TCP6":
			to = &got.TCP6
		case "UDP6":
			to = &got.UDP6
		default:
			continue
		}
		word, value := nextField(value)
		number, _ := nextField(value)
		if !complete || string(word) != "inuse" || !setUint(to, number) {
			return newParseError("sockstat", string(key), line)
		}
	}
	*dst = got
	return nil
}

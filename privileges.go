package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// capabilities are what reading other users' processes takes on Linux, with
// the numbers of capabilities(7). Each is worth a line to whoever wonders why
// a metric is not there.
var capabilities = [...]struct {
	bit   uint
	name  string
	gives string
}{
	{19, "CAP_SYS_PTRACE", "I/O, proportional memory, wait channels"},
	{2, "CAP_DAC_READ_SEARCH", "I/O"},
}

// missingCapabilities names the capabilities that this process lacks and what
// for, or returns "" if it lacks none or the system does not know them.
func missingCapabilities() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "" // not Linux, or so locked up that the walk will say it better
	}
	return missingFrom(status)
}

// missingFrom does it for the text of a status file. The user's number says
// nothing: root in a container has few capabilities, and a service with a user
// of its own may have both.
func missingFrom(status []byte) string {
	var missing []string
	for line := range bytes.Lines(status) {
		text, found := bytes.CutPrefix(line, []byte("CapEff:"))
		if !found {
			continue
		}
		effective, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 16, 64)
		if err != nil {
			return ""
		}
		for _, c := range capabilities {
			if effective>>c.bit&1 == 0 {
				missing = append(missing, c.name+" ("+c.gives+")")
			}
		}
	}
	return strings.Join(missing, ", ")
}

package testenv

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// NetworkCounters returns the counters of the network namespace of a process: those in
// /proc/PID/net/snmp and netstat, such as "Tcp:OutSegs" and "TcpExt:TCPSynRetrans".
func NetworkCounters(t testing.TB, pid int) map[string]float64 {
	t.Helper()
	counters := make(map[string]float64)
	for _, file := range []string{"snmp", "netstat"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, file))
		if err != nil {
			t.Fatal(err)
		}
		var names []string // of the next line
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if names == nil {
				names = fields
				continue
			}
			for i, name := range names[1:] {
				if counters[fields[0]+name], err = strconv.ParseFloat(fields[i+1], 64); err != nil {
					t.Fatal(err)
				}
			}
			names = nil
		}
	}
	return counters
}

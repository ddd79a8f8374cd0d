package host

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// A TickConverter converts times since boot, in nanoseconds of the kernel, to the clock ticks
// of /proc.
type TickConverter struct {
	TickNanos uint64 // length of a clock tick in nanoseconds
	Offset    int64  // offset of the boot time clock in our time namespace, in nanoseconds
}

// NewTickConverter returns the TickConverter of this process.
func NewTickConverter() TickConverter {
	return TickConverter{TickNanos: uint64(time.Second) / TicksPerSecond(), Offset: bootTimeOffset()}
}

// Ticks returns the clock ticks of a time.
func (c *TickConverter) Ticks(nanos uint64) uint64 {
	return uint64(int64(nanos)+c.Offset) / c.TickNanos
}

// bootTimeOffset returns the offset of the boot time clock in the time namespace of this
// process, in nanoseconds.
func bootTimeOffset() int64 {
	text, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var clock string
		var seconds, nanos int64
		if n, _ := fmt.Sscan(line, &clock, &seconds, &nanos); n == 3 && clock == "boottime" {
			return seconds*int64(time.Second) + nanos
		}
	}
	return 0
}

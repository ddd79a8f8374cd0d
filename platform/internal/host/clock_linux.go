package host

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/procfs"
)

// atClkTck is the auxiliary vector entry AT_CLKTCK (elf.h): the clock ticks per
// second of the values in /proc.
const atClkTck = 17

// maxClockStep is how far the wall clock may step before start times follow it.
// Smaller corrections are frequent and would move the start time of a process
// again and again.
const maxClockStep = time.Second

// A Clock converts the clock ticks of /proc to time. It is not safe for
// concurrent use.
type Clock struct {
	real   bool // the mount is procfs of this machine, so system clocks apply
	hz     uint64
	boot   time.Time
	offset time.Duration // CLOCK_REALTIME - CLOCK_BOOTTIME when boot was set

	gettime func(id int32) time.Duration // clock_gettime(2)
}

// NewClock returns the Clock of a process file system.
func NewClock(m *procfs.Mount) Clock {
	c := Clock{real: m.IsProcfs(), hz: TicksPerSecond(), gettime: GetTime}
	c.offset = c.wallClockOffset()
	if c.real {
		c.setBootTime()
	} else {
		c.readBootTime(procfs.NewReader(m))
	}
	return c
}

// Simulate makes c use gettime in place of clock_gettime(2), as if the process
// file system were the real one. It is for tests.
func (c *Clock) Simulate(gettime func(id int32) time.Duration) {
	c.real, c.gettime = true, gettime
	c.offset = c.wallClockOffset()
}

// GetTime returns the value of a system clock, or 0 if the kernel lacks it.
func GetTime(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// ThreadCPUTime returns the CPU time of the calling thread.
func ThreadCPUTime() time.Duration { return GetTime(unix.CLOCK_THREAD_CPUTIME_ID) }

// setBootTime computes the boot time from the clocks. The result is that of btime in
// /proc/stat. That file is not read, because LXCFS can replace it by one that blocks, or
// that has the boot time of a container: start times count from the boot of the machine.
func (c *Clock) setBootTime() {
	c.boot = time.Unix(0, int64(c.offset)).Truncate(time.Second).UTC()
}

// readBootTime reads the boot time from the copy of /proc/stat in a directory that
// is not the process file system. Without such a file, it computes the boot time.
func (c *Clock) readBootTime(r *procfs.Reader) {
	if text, err := r.ReadHost("stat"); err == nil {
		if seconds, err := procfs.ParseBootTime(text); err == nil {
			c.boot = time.Unix(int64(seconds), 0).UTC()
			return
		}
	}
	c.setBootTime()
}

// Update sets the boot time again if the wall clock has stepped by more than a
// second since the last time.
func (c *Clock) Update() {
	if offset := c.wallClockOffset(); c.real && (offset-c.offset).Abs() > maxClockStep {
		c.offset = offset
		c.setBootTime()
	}
}

// BootTime returns when the machine booted, as of the last Update.
func (c *Clock) BootTime() time.Time { return c.boot }

// TicksPerSecond returns how many clock ticks a second has.
func (c *Clock) TicksPerSecond() uint64 { return c.hz }

// Now returns the clock ticks since boot.
func (c *Clock) Now(r *procfs.Reader) uint64 {
	if !c.real {
		if text, err := r.ReadHost("uptime"); err == nil {
			if centis, err := procfs.ParseUptime(text); err == nil {
				return centis * c.hz / 100
			}
		}
	}
	return uint64(c.gettime(unix.CLOCK_BOOTTIME)) / (uint64(time.Second) / c.hz)
}

// Time returns the time that is the given number of ticks after boot.
func (c *Clock) Time(ticks uint64) time.Time {
	return c.boot.Add(time.Duration(ticks/c.hz)*time.Second + time.Duration(ticks%c.hz)*time.Second/time.Duration(c.hz))
}

// WallTime returns the wall clock. For a copy of /proc it returns the time of the copy, which
// is now ticks after boot.
func (c *Clock) WallTime(now uint64) time.Time {
	if !c.real {
		return c.Time(now)
	}
	return time.Unix(0, int64(c.gettime(unix.CLOCK_REALTIME))).UTC()
}

// Nanos converts ticks to nanoseconds.
func (c *Clock) Nanos(ticks uint64) uint64 { return ticks * (uint64(time.Second) / c.hz) }

func (c *Clock) wallClockOffset() time.Duration {
	return c.gettime(unix.CLOCK_REALTIME) - c.gettime(unix.CLOCK_BOOTTIME)
}

// TicksPerSecond returns how many clock ticks of /proc a second has: sysconf(3)
// _SC_CLK_TCK. It is 100 on every architecture that Go supports.
func TicksPerSecond() uint64 {
	vector, err := unix.Auxv()
	if err == nil {
		for _, entry := range vector {
			if entry[0] == atClkTck && entry[1] > 0 {
				return uint64(entry[1])
			}
		}
	}
	return 100
}

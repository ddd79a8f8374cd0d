package platform

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/procfs"
)

// atClkTck is the key of the auxiliary vector under which the kernel says how
// many clock ticks /proc counts in a second (AT_CLKTCK of elf.h).
const atClkTck = 17

// maxStep is how far the wall clock may move before start times follow it.
// Smaller corrections happen all the time and would make the same process seem
// to start again and again.
const maxStep = time.Second

// A clock turns the ticks that /proc counts into time.
type clock struct {
	real   bool // the machine's own procfs: system calls answer for it
	hz     uint64
	boot   time.Time
	offset time.Duration // between wall clock and boot clock when boot was read

	gettime func(id int32) time.Duration // what clocks of the system say
}

func newClock(m *procfs.Mount) clock {
	c := clock{real: m.Real(), hz: ticksPerSecond(), gettime: gettime}
	c.offset = c.sinceEpochAtBoot()
	c.readBoot(procfs.NewReader(m))
	return c
}

// readBoot takes the boot time that /proc/stat tells, which is what other tools
// show, or works it out where that file is hidden (subset=pid).
func (c *clock) readBoot(r *procfs.Reader) {
	if text, err := r.ReadHost("stat"); err == nil {
		if seconds, err := procfs.ParseBootTime(text); err == nil {
			c.boot = time.Unix(int64(seconds), 0).UTC()
			return
		}
	}
	c.boot = time.Unix(0, int64(c.offset)).Truncate(time.Second).UTC()
}

// start writes the moment at which a walk begins into snap.
func (c *clock) start(r *procfs.Reader, snap *Snapshot) {
	if offset := c.sinceEpochAtBoot(); c.real && (offset-c.offset).Abs() > maxStep {
		c.offset = offset
		c.readBoot(r)
	}
	snap.BootTime, snap.TicksPerSecond, snap.Now = c.boot, c.hz, c.now(r)
}

// now returns the clock ticks since boot.
func (c *clock) now(r *procfs.Reader) uint64 {
	if !c.real {
		if text, err := r.ReadHost("uptime"); err == nil {
			if centis, err := procfs.ParseUptime(text); err == nil {
				return centis * c.hz / 100
			}
		}
	}
	return uint64(c.gettime(unix.CLOCK_BOOTTIME)) / (uint64(time.Second) / c.hz)
}

// at returns the time of a number of ticks after boot.
func (c *clock) at(ticks uint64) time.Time {
	return c.boot.Add(time.Duration(ticks/c.hz)*time.Second + time.Duration(ticks%c.hz)*time.Second/time.Duration(c.hz))
}

// nanos returns ticks as nanoseconds.
func (c *clock) nanos(ticks uint64) uint64 { return ticks * (uint64(time.Second) / c.hz) }

func (c *clock) sinceEpochAtBoot() time.Duration {
	return c.gettime(unix.CLOCK_REALTIME) - c.gettime(unix.CLOCK_BOOTTIME)
}

func gettime(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

func ticksPerSecond() uint64 {
	vector, err := unix.Auxv()
	if err == nil {
		for _, entry := range vector {
			if entry[0] == atClkTck && entry[1] > 0 {
				return uint64(entry[1])
			}
		}
	}
	return 100 // on every architecture that Go runs on
}

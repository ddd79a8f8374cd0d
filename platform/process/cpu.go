package process

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// CPUTimes is the CPU time of a process, including its exited threads.
type CPUTimes struct {
	User, System                 time.Duration
	ChildrenUser, ChildrenSystem time.Duration // of reaped children
	IOWait                       time.Duration // wait for block devices; 0 unless sysctl kernel.task_delayacct is set
}

// CPUTimes returns the CPU time of the process, with the resolution of a clock tick
// (10 ms). It reads /proc/PID/stat.
//
// System calls: 1 (3 in the first call).
func (p *Process) CPUTimes() (CPUTimes, error) {
	stat, err := p.readStat("cpu times")
	if err != nil {
		return CPUTimes{}, err
	}
	return p.timesIn(stat), nil
}

func (p *Process) timesIn(stat *statRead) CPUTimes {
	nanos := p.shared.table.system.nanos
	return CPUTimes{
		User:           nanos(stat.UserTicks),
		System:         nanos(stat.SystemTicks),
		ChildrenUser:   nanos(stat.ChildUserTicks),
		ChildrenSystem: nanos(stat.ChildSystemTicks),
		IOWait:         nanos(stat.BlockIOTicks),
	}
}

// used returns the CPU time of the process without its children.
func (t CPUTimes) used() time.Duration { return t.User + t.System }

// A cpuMeter holds the last measurement of CPUPercent.
type cpuMeter struct {
	mu sync.Mutex // guards cpuReading
	cpuReading
}

type cpuReading struct {
	at      time.Time // of the read of /proc/PID/stat; zero before the first
	used    time.Duration
	percent float64 // since the reading before; 0 for the first
}

func (m *cpuMeter) clone() *cpuMeter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &cpuMeter{cpuReading: m.cpuReading}
}

// update returns the CPU use since the last update. A read that is not later than
// that of the last update changes nothing.
func (m *cpuMeter) update(at time.Time, used time.Duration) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !at.After(m.at) {
		return m.percent
	}
	percent := 0.0
	if !m.at.IsZero() {
		percent = busyPercent(used-m.used, at.Sub(m.at))
	}
	m.cpuReading = cpuReading{at, used, percent}
	return percent
}

// store replaces the last measurement by a later one.
func (m *cpuMeter) store(r cpuReading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.at.After(m.at) {
		m.cpuReading = r
	}
}

// meters holds the cpuMeters of the processes that iterations have returned. An
// iteration removes those of processes that have exited.
type meters struct {
	mu    sync.Mutex // guards byPID
	byPID map[int]meterOf
}

type meterOf struct {
	id ID
	*cpuMeter
}

// get returns the meter of a process.
func (m *meters) get(id ID) *cpuMeter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.byPID[id.PID]; ok && known.id == id {
		return known.cpuMeter
	}
	if m.byPID == nil {
		m.byPID = make(map[int]meterOf)
	}
	added := new(cpuMeter)
	m.byPID[id.PID] = meterOf{id, added}
	return added
}

// retain removes the meters of all processes but these, whose PIDs ascend.
func (m *meters) retain(pids []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for pid := range m.byPID {
		if _, ok := slices.BinarySearch(pids, pid); !ok {
			delete(m.byPID, pid)
		}
	}
}

// meter returns the cpuMeter of p.
func (p *Process) meter() *cpuMeter {
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.meter != nil:
	case s.tree != nil:
		s.meter = s.table.meters.get(s.id)
	default:
		s.meter = new(cpuMeter)
	}
	return s.meter
}

// CPUPercent returns the CPU use since the last call on p or one of its views, in
// percent of one CPU: n busy threads use n × 100 percent. The CPU time has a
// resolution of 10 ms, so short intervals are inexact. The first call returns 0.
// Later calls on one view of [Process.Oneshot] return the result of the first.
//
// Each call ends an interval and starts the next one. Store the result to compare or
// print it several times: a comparison of a sort that calls CPUPercent measures
// intervals of microseconds.
//
// For a Process from [All] it is the use since the last call for the same process on a
// Process of any iteration of the [Table]. To get the use between two iterations, call
// it for each process in both: an iteration alone measures nothing. A process that
// started in between has 0. CPUPercent reads /proc/PID/stat. Its psutil counterpart is
// cpu_percent(None).
//
// System calls: 1 (3 in the first call).
func (p *Process) CPUPercent() (float64, error) {
	stat, err := p.readStat("cpu percent")
	if err != nil {
		return 0, err
	}
	return p.meter().update(stat.at, p.timesIn(stat).used()), nil
}

// CPUPercentOver measures the CPU use during an interval, in percent of one CPU. If
// ctx ends first, the error matches the error of ctx. An interval that is not
// greater than 0 is an error that matches [ErrInvalid]. The next [Process.CPUPercent]
// returns the use since the end of the interval. On a view of [Process.Oneshot] it
// reads /proc/PID/stat again. The psutil counterpart is cpu_percent(interval).
//
// System calls: 2.
func (p *Process) CPUPercentOver(ctx context.Context, interval time.Duration) (float64, error) {
	const op = "cpu percent"
	if interval <= 0 {
		return 0, p.invalid(op, "interval %v is not greater than 0", interval)
	}
	ctx, stop := p.joinContext(ctx)
	defer stop()
	uncached := p.uncached().WithContext(ctx)
	before, err := uncached.readStat(op)
	if err != nil {
		return 0, err
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, p.interrupted(op, ctx)
	case <-timer.C:
	}
	after, err := uncached.readStat(op)
	if err != nil {
		return 0, err
	}
	used := p.timesIn(after).used()
	percent := busyPercent(used-p.timesIn(before).used(), after.at.Sub(before.at))
	p.meter().store(cpuReading{after.at, used, percent})
	return percent, nil
}

// busyPercent returns busy in percent of wall, rounded to one decimal because the
// kernel counts in hundredths of a second.
func busyPercent(busy, wall time.Duration) float64 {
	if wall <= 0 || busy <= 0 {
		return 0
	}
	return math.Round(float64(busy)/float64(wall)*1000) / 10
}

// CPUNum returns the CPU on which the main thread ran last. It reads
// /proc/PID/stat.
//
// System calls: 1 (3 in the first call).
func (p *Process) CPUNum() (int, error) {
	stat, err := p.readStat("cpu num")
	if err != nil {
		return 0, err
	}
	return stat.CPU, nil
}

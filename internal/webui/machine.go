package webui

import (
	"context"
	"sync"
	"time"

	"github.com/seed57308aee/process_exporter/platform"
)

// machineTimeout is the time for which a request waits for a read of the machine's totals.
// They come from files that LXCFS can replace by files that block.
const machineTimeout = 100 * time.Millisecond

// MachineStatus is what all processes of the machine use together, as the kernel counts it.
// Pointers are nil for unknown values.
type MachineStatus struct {
	Hostname    string   `json:"hostname,omitempty"`
	CPUs        *int     `json:"cpus,omitempty"`      // that are online
	CPU         *float64 `json:"cpu_ratio,omitempty"` // 1 is one core
	MemoryBytes *uint64  `json:"memory_bytes,omitempty"`
	UsedBytes   *uint64  `json:"memory_used_bytes,omitempty"` // that is not available to new processes
	ReadBytes   *float64 `json:"read_bytes_per_second,omitempty"`
	WriteBytes  *float64 `json:"write_bytes_per_second,omitempty"`
}

// A machineReader reads the totals of the machine for requests. It is safe for concurrent use.
type machineReader struct {
	hostname string
	read     func() platform.Machine // may block; nil without this machine
	now      func() time.Time

	mu     sync.Mutex    // guards the following fields
	done   chan struct{} // closed at the end of the running read, nil if none runs
	last   platform.Machine
	lastAt time.Time      // zero without a read
	status *MachineStatus // of last, replaced by the next read; nil without a read
}

// update returns the totals. It reads them again if the last read is older than maxAge. Rates are
// those between the last two reads.
func (m *machineReader) update(ctx context.Context, maxAge time.Duration) *MachineStatus {
	if m.read == nil {
		return nil
	}
	m.mu.Lock()
	now := m.now()
	if now.Sub(m.lastAt) > viewerTimeout {
		m.last, m.lastAt, m.status = platform.Machine{}, time.Time{}, nil
	}
	if m.status == nil || m.status.CPU == nil {
		maxAge = minInterval // there are no rates yet
	}
	if m.done == nil && now.Sub(m.lastAt) >= maxAge {
		m.done = make(chan struct{})
		go m.readOnce(m.done)
	}
	done := m.done
	m.mu.Unlock()
	if done != nil {
		wait, cancel := context.WithTimeout(ctx, machineTimeout)
		defer cancel()
		select {
		case <-done:
		case <-wait.Done():
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// readOnce reads the totals and closes done.
func (m *machineReader) readOnce(done chan struct{}) {
	v := m.read()
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	m.status = m.newStatus(&m.last, &v, now.Sub(m.lastAt))
	m.last, m.lastAt, m.done = v, now, nil
	close(done)
}

// newStatus returns the totals v, with the rates since the previous read.
func (m *machineReader) newStatus(before, v *platform.Machine, interval time.Duration) *MachineStatus {
	s := &MachineStatus{Hostname: m.hostname}
	both := before.Have & v.Have
	perSecond := func(a, b uint64, unit float64) *float64 {
		value := rate(a, b, interval.Seconds()) / unit
		return &value
	}
	if v.Have&platform.MachineCPU != 0 {
		s.CPUs = &v.CPUs
	}
	if v.Have&platform.MachineMemory != 0 {
		used := v.MemoryBytes - min(v.AvailableBytes, v.MemoryBytes)
		s.MemoryBytes, s.UsedBytes = &v.MemoryBytes, &used
	}
	if both&platform.MachineCPU != 0 {
		s.CPU = perSecond(before.CPUNanos, v.CPUNanos, 1e9)
	}
	if both&platform.MachineDisk != 0 {
		s.ReadBytes, s.WriteBytes = perSecond(before.ReadBytes, v.ReadBytes, 1), perSecond(before.WriteBytes, v.WriteBytes, 1)
	}
	return s
}

package sockets

import (
	"cmp"
	"slices"
)

// An owner identifies a process. The zero owner is no known process.
type owner struct {
	pid   int32
	start uint64 // nanoseconds after boot
}

// An account holds the sockets of one process.
type account struct {
	owner
	traffic Traffic
	open    OpenSockets
}

// accounts are the accounts of all processes. They reuse their memory.
type accounts struct {
	list         []account
	index        map[owner]int32
	unattributed Traffic
}

// of returns the account of a process, which is valid until the next call.
func (a *accounts) of(o owner) *account {
	if i, found := a.index[o]; found {
		return &a.list[i]
	}
	a.index[o] = int32(len(a.list))
	if len(a.list) < cap(a.list) {
		a.list = a.list[:len(a.list)+1]
	} else {
		a.list = append(a.list, account{})
	}
	c := &a.list[len(a.list)-1]
	trips, listeners := c.traffic.RoundTrips[:0], c.open.Listeners[:0]
	*c = account{owner: o, traffic: Traffic{RoundTrips: trips}, open: OpenSockets{Listeners: listeners}}
	return c
}

// traffic returns the Traffic of a process, or that of no process.
func (a *accounts) traffic(o owner) *Traffic {
	if o == (owner{}) {
		return &a.unattributed
	}
	return &a.of(o).traffic
}

// reset removes all accounts.
func (a *accounts) reset() {
	a.list = a.list[:0]
	a.unattributed = Traffic{RoundTrips: a.unattributed.RoundTrips[:0]}
	if a.index == nil {
		a.index = make(map[owner]int32)
	}
	clear(a.index)
}

// report sets the Processes of r, which uses the memory of a.
func (a *accounts) report(r *Report, ticks func(nanos uint64) uint64) {
	slices.SortFunc(a.list, func(x, y account) int {
		return cmp.Or(cmp.Compare(x.pid, y.pid), cmp.Compare(x.start, y.start))
	})
	r.Processes = r.Processes[:0]
	for i := range a.list {
		c := &a.list[i]
		slices.SortFunc(c.open.Listeners, compareListeners)
		c.open.Listeners = sumByPort(c.open.Listeners)
		r.Processes = append(r.Processes, Process{
			PID: int(c.pid), Start: ticks(c.start), Traffic: c.traffic, Open: c.open,
		})
	}
	r.Unattributed = a.unattributed
}

func compareListeners(x, y Listener) int {
	return cmp.Or(cmp.Compare(x.Protocol, y.Protocol), cmp.Compare(x.Port, y.Port))
}

// sumByPort returns one Listener per port. all is sorted by port.
func sumByPort(all []Listener) []Listener {
	merged := all[:0]
	for _, l := range all {
		if last := len(merged) - 1; last >= 0 && compareListeners(merged[last], l) == 0 {
			merged[last].AcceptQueue += l.AcceptQueue
			merged[last].Backlog += l.Backlog
			continue
		}
		merged = append(merged, l)
	}
	return merged
}

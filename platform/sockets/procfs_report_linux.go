package sockets

import (
	"cmp"
	"context"
	"slices"
)

// An ownedListener is a Listener of one socket.
type ownedListener struct {
	owner *procfsProcess
	Listener
}

// fill writes the Report.
func (r *procfsReader) fill(ctx context.Context, report *Report) {
	for _, p := range r.processes {
		p.open = OpenSockets{}
	}
	r.listeners = r.listeners[:0]
	for _, s := range r.sockets {
		if s.owner != nil {
			r.add(s)
		}
	}
	r.fillListeners()
	*report = Report{Processes: report.Processes[:0], Parts: PartOpen}
	for _, p := range r.processes {
		unreadable := r.unreadable(p)
		if !unreadable && p.owned == 0 {
			continue
		}
		if !p.hasStart && !r.scans.readStart(ctx, r, p) {
			continue // exited, or its stat file may not be read
		}
		report.Processes = append(report.Processes, Process{PID: p.pid, Start: p.start, Unreadable: unreadable, Open: p.open})
	}
	report.Incomplete = r.incomplete
}

// unreadable reports whether a process may have sockets that are unknown. If every socket
// has an owner, a process that was not scanned has none.
func (r *procfsReader) unreadable(p *procfsProcess) bool {
	return p.denied || p.scanned == 0 && r.unowned > 0
}

// add counts a socket for its owner.
func (r *procfsReader) add(s *listedSocket) {
	open := &s.owner.open
	switch s.kind {
	case kindUnix:
		open.Unix++
	case kindUDP:
		open.UDP++
		open.UDPReceiveQueueBytes += uint64(s.receiveQueue)
		open.UDPSendQueueBytes += uint64(s.sendQueue)
		if s.state != StateEstablished && s.port != 0 {
			r.listeners = append(r.listeners, ownedListener{s.owner, Listener{Protocol: UDP, Port: s.port}})
		}
	default:
		open.Connections[s.state]++
		if s.state == StateListen {
			r.listeners = append(r.listeners, ownedListener{s.owner, Listener{Protocol: TCP, Port: s.port, AcceptQueue: s.receiveQueue}})
		}
	}
}

// fillListeners sets OpenSockets.Listeners of each process from r.listeners.
func (r *procfsReader) fillListeners() {
	slices.SortFunc(r.listeners, func(a, b ownedListener) int {
		return cmp.Or(cmp.Compare(a.owner.pid, b.owner.pid), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	r.allListeners = slices.Grow(r.allListeners[:0], len(r.listeners))
	first := 0 // index in allListeners of the first Listener of the process
	for i, l := range r.listeners {
		if i > 0 && l.owner != r.listeners[i-1].owner {
			first = len(r.allListeners)
		}
		if n := len(r.allListeners); n > first && r.allListeners[n-1].Protocol == l.Protocol && r.allListeners[n-1].Port == l.Port {
			r.allListeners[n-1].AcceptQueue += l.AcceptQueue
		} else {
			r.allListeners = append(r.allListeners, l.Listener)
		}
		l.owner.open.Listeners = r.allListeners[first:len(r.allListeners):len(r.allListeners)]
	}
}

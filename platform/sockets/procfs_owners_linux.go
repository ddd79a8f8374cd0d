package sockets

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// Parts of the budget for scans of processes whose descriptors do not seem to have changed.
const (
	searchShare = 4  // a fourth, for processes that may have a socket without an owner
	verifyShare = 20 // a twentieth, to read all links of the known owners again
)

// findOwners finds the owners of sockets, and checks the known ones, as far as the budget
// allows.
func (r *procfsReader) findOwners(ctx context.Context) {
	r.scans.refill()
	start := threadCPUTime()
	if r.unowned > 0 {
		r.assignKnown()
	}
	r.scanChangedOwners(ctx)
	r.search(ctx)
	r.scans.budget.spend(threadCPUTime() - start)
	limit := r.scans.budget.limit
	r.scans.searchedPID = r.rescan(ctx, r.scans.searchedPID, limit/searchShare, r.mayOwn)
	r.scans.checkedPID = r.rescan(ctx, r.scans.checkedPID, limit/verifyShare, needsCheck)
	r.assignLost()
}

// assignLost finds new owners of sockets that their owners have closed.
func (r *procfsReader) assignLost() {
	if r.lostOwner {
		r.lostOwner = false
		r.lostRound++
		r.assignKnown()
	}
}

// assignKnown makes each socket without an owner that of the process with the lowest PID
// that had it open at its last scan.
func (r *procfsReader) assignKnown() {
	for _, p := range r.processes {
		for _, fd := range p.fds {
			if s := r.sockets[fd.Inode]; s != nil && s.owner == nil {
				r.assign(s, p)
			}
		}
	}
}

func (r *procfsReader) assign(s *listedSocket, p *process) {
	s.owner = p
	p.owned++
	r.unowned--
}

// scanChangedOwners scans the processes whose sockets or number of descriptors have
// changed, and which own a socket.
func (r *procfsReader) scanChangedOwners(ctx context.Context) {
	for _, p := range r.processes {
		if p.owned == 0 && !p.changed || !r.hasChanged(p) {
			continue
		}
		if !r.scans.possible(ctx) {
			r.incomplete = r.incomplete || ctx.Err() != nil
			break
		}
		r.scan(ctx, p, keepKnown)
	}
	r.assignLost()
}

// hasChanged reports whether the descriptors of a process may have changed since its last
// scan.
func (r *procfsReader) hasChanged(p *process) bool {
	if p.denied {
		return false
	}
	return p.changed || p.scanned == 0 || p.next > 0 || r.countOf(p) != p.count
}

// countOf returns the number of descriptors of a process. Before Linux 6.2 the kernel has
// no such number: then the result differs from that of every scan.
func (r *procfsReader) countOf(p *process) uint64 {
	const unknown = 1<<64 - 1
	if !r.mount.FDSizeIsCount() {
		return unknown
	}
	r.reader.ReadViaThread(0, 0)
	if p.thread != 0 {
		r.reader.ReadViaThread(p.pid, p.thread)
		defer r.reader.ReadViaThread(0, 0)
	}
	n, err := r.reader.CountFDs(p.pid)
	if err != nil {
		return unknown
	}
	return n
}

// search scans processes until each socket has an owner. It begins with the process at
// which the budget ended the last search. A process whose number of descriptors has not
// changed is left to rescan.
func (r *procfsReader) search(ctx context.Context) {
	n := len(r.processes)
	first := r.indexOf(&process{pid: r.scans.searchPID})
	r.scans.searchPID = 0
	for i := range n {
		p := r.processes[(first+i)%n]
		if r.unowned == 0 {
			return
		}
		if !r.mayOwn(p) {
			continue
		}
		if !r.scans.possible(ctx) {
			r.scans.searchPID = p.pid
			r.incomplete = r.incomplete || ctx.Err() != nil
			return
		}
		if r.hasChanged(p) {
			r.scan(ctx, p, keepKnown)
		}
	}
}

// rescan scans the processes that are due in turn, with a part of the budget. It continues
// after the process lastPID, and returns the last that it scanned.
func (r *procfsReader) rescan(ctx context.Context, lastPID int, share time.Duration, due func(*process) bool) int {
	end := r.scans.budget.left - share
	n := len(r.processes)
	first := r.indexOf(&process{pid: lastPID + 1})
	for i := range n {
		p := r.processes[(first+i)%n]
		if r.scans.budget.left <= end || !r.scans.possible(ctx) {
			break
		}
		if due(p) {
			lastPID = p.pid
			r.scan(ctx, p, readAll)
		}
	}
	return lastPID
}

// mayOwn reports whether a process has not been scanned since a socket without an owner
// was found.
func (r *procfsReader) mayOwn(p *process) bool {
	return r.unowned > 0 && !p.denied && (p.scanned < r.newestUnowned || p.next > 0)
}

// needsCheck reports whether a process owns a socket that it may have closed, or may have
// become readable.
func needsCheck(p *process) bool { return p.owned > 0 || p.denied }

// smallProcess is a number of descriptors of which all links are always read.
const smallProcess = 256

// A scanMode says which links a scan reads.
type scanMode uint8

const (
	// keepKnown does not read the links of open descriptors whose socket is still in a
	// table. If another process has the socket open too, the descriptor may be reused.
	keepKnown scanMode = iota
	readAll
)

// scan scans the descriptors of a process and assigns its sockets.
func (r *procfsReader) scan(ctx context.Context, p *process, mode scanMode) {
	q := &r.scans.request
	*q = scanRequest{pid: p.pid, inode: p.inode, from: p.next, fds: q.fds[:0]}
	if mode == keepKnown && len(p.fds) > smallProcess {
		for _, fd := range p.fds {
			if fd.FD >= p.next && r.sockets[fd.Inode] != nil {
				q.fds = append(q.fds, fd)
			}
		}
	}
	if p.next == 0 {
		p.began = r.reads
		p.changed = false
	}
	result := r.scans.run(ctx, r)
	switch {
	case result == nil: // unresponsive
		p.changed = true
		return
	case errors.Is(result.err, procfs.ErrAccessDenied):
		p.denied, p.next = true, 0
		r.replaceFDs(p, nil, 0)
		return
	case result.err != nil: // exited, or out of resources
		p.changed = true
		r.incomplete = r.incomplete || host.ResourceExhausted(result.err)
		return
	}
	p.denied, p.thread, p.count = false, result.thread, result.count
	r.replaceFDs(p, result.fds, result.next)
	if p.next = result.next; p.next == 0 {
		p.scanned = p.began
	}
}

// replaceFDs replaces the descriptors p.next to next of a process, where 0 is the end, by
// fds. It takes sockets away from the process that it has closed.
func (r *procfsReader) replaceFDs(p *process, fds []procfs.SocketFD, next uint32) {
	from := fdIndex(p.fds, p.next)
	to := len(p.fds)
	if next > 0 {
		to = fdIndex(p.fds, next)
	}
	merged := append(append(append(r.scans.merged[:0], p.fds[:from]...), fds...), p.fds[to:]...)
	r.scans.number++
	for _, fd := range merged {
		s := r.sockets[fd.Inode]
		if s == nil {
			continue
		}
		s.scan = r.scans.number
		// A process with a lower PID may have a lost socket too: assignLost knows.
		if s.owner == nil && s.lostRound != r.lostRound {
			r.assign(s, p)
		}
	}
	for _, fd := range p.fds {
		if s := r.sockets[fd.Inode]; s != nil && s.owner == p && s.scan != r.scans.number {
			s.owner, s.since, s.lostRound = nil, r.reads, r.lostRound
			p.owned--
			r.addUnowned(s)
			r.lostOwner = true
		}
	}
	p.fds = append(p.fds[:0], merged...)
	r.scans.merged = merged
}

// fdIndex returns the index of the first element of fds whose descriptor is at least fd.
func fdIndex(fds []procfs.SocketFD, fd uint32) int {
	at, _ := slices.BinarySearchFunc(fds, fd, func(s procfs.SocketFD, fd uint32) int { return cmp.Compare(s.FD, fd) })
	return at
}

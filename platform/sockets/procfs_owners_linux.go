package sockets

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// Percentages of the budget. Each phase has its own part, so that none uses up that of another.
// The phase search also gets what the phase changed has left.
const (
	changedPercent  = 40 // owners of sockets whose number of descriptors has changed
	searchPercent   = 30 // other processes whose number of descriptors has changed, while a socket has no owner
	searchedPercent = 25 // all other processes, while a socket has no owner
	checkedPercent  = 5  // all links of the known owners again, and processes that were not readable
)

// A phase scans the processes that are due, one after the other. If it exceeds its budget in one
// Read, it has less in the next ones. Each Read still scans at least one process or checks
// checksPerStep processes. So a phase reaches every process after a number of Reads that does not
// depend on its budget.
type phase struct {
	budget

	// A pass goes from the lowest PID to lastPID, the highest at its start: processes that start
	// during it do not delay the next pass.
	nextPID, lastPID int
}

// checksPerStep is the number of processes that a phase checks before it compares its CPU time
// with the budget.
const checksPerStep = 64

// findOwners finds the owners of sockets, and checks the known ones, as far as the budget
// allows.
func (r *procfsReader) findOwners(ctx context.Context) {
	d := &r.scans
	d.refill()
	if r.unowned > 0 {
		r.assignKnown()
	}
	r.run(ctx, &d.changed, keepKnown, func(p *procfsProcess) bool { return (p.owned > 0 || p.changed) && r.hasChanged(p) })
	r.assignLost()
	d.search.left += max(0, d.changed.left)
	r.run(ctx, &d.search, keepKnown, func(p *procfsProcess) bool { return r.mayOwn(p) && r.hasChanged(p) })
	r.run(ctx, &d.searched, readAll, r.mayOwn)
	r.run(ctx, &d.checked, verify, needsCheck)
	r.assignLost()
}

// run runs a phase. It reaches each process once, unless its budget ends.
func (r *procfsReader) run(ctx context.Context, ph *phase, mode scanMode, due func(*procfsProcess) bool) {
	n := len(r.processes)
	at := r.indexOf(ph.nextPID)
	start := host.ThreadCPUTime()
	for i := range n {
		if !r.scans.possible(ctx) {
			r.incomplete = r.incomplete || ctx.Err() != nil
			return
		}
		if at == n || r.processes[at].pid > ph.lastPID {
			at, ph.lastPID = 0, r.processes[n-1].pid
		}
		p := r.processes[at]
		at++
		ph.nextPID = p.pid + 1
		isDue := due(p)
		if isDue && !r.scan(ctx, ph, p, mode) {
			ph.nextPID = p.pid
		}
		if isDue || i%checksPerStep == checksPerStep-1 {
			now := host.ThreadCPUTime()
			ph.spend(now - start)
			start = now
			if ph.exhausted() {
				return
			}
		}
	}
	ph.nextPID, ph.lastPID = 0, 0
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

func (r *procfsReader) assign(s *listedSocket, p *procfsProcess) {
	s.owner = p
	p.owned++
	r.unowned--
}

// hasChanged reports whether the descriptors of a process may have changed since its last
// scan.
func (r *procfsReader) hasChanged(p *procfsProcess) bool {
	if p.denied {
		return false
	}
	return p.changed || p.scanned == 0 || p.next > 0 || r.countOf(p) != p.count
}

// countOf returns the number of descriptors of a process. Before Linux 6.2 the kernel has
// no such number: then the result differs from that of every scan.
func (r *procfsReader) countOf(p *procfsProcess) uint64 {
	const unknown = 1<<64 - 1
	if !r.mount.CountsFDsWithoutListing() {
		return unknown
	}
	r.reader.RedirectToThread(0, 0)
	if p.thread != 0 {
		r.reader.RedirectToThread(p.pid, p.thread)
		defer r.reader.RedirectToThread(0, 0)
	}
	n, err := r.reader.CountFDs(p.pid)
	if err != nil {
		return unknown
	}
	return n
}

// mayOwn reports whether a process has not been scanned since a socket without an owner
// was found.
func (r *procfsReader) mayOwn(p *procfsProcess) bool {
	return r.unowned > 0 && !p.denied && (p.scanned < r.newestUnowned || p.next > 0)
}

// needsCheck reports whether a process owns a socket that it may have closed, or may have
// become readable.
func needsCheck(p *procfsProcess) bool { return p.owned > 0 || p.denied }

// smallProcess is a number of descriptors of which all links are always read.
const smallProcess = 256

// A scanMode says which links a scan reads.
type scanMode uint8

const (
	// keepKnown does not read the links of open descriptors whose socket is still in a
	// table. If another process has the socket open too, the descriptor may be reused.
	keepKnown scanMode = iota
	readAll

	// verify reads all links too. It does not replace a scan after a change, because it may take
	// many Reads.
	verify
)

// scan scans the descriptors of a process and assigns its sockets. Its CPU time counts in the
// budget of the phase. It returns false if that ended the scan before the last descriptor.
func (r *procfsReader) scan(ctx context.Context, ph *phase, p *procfsProcess, mode scanMode) (finished bool) {
	next := &p.next
	if mode == verify {
		next = &p.nextVerified
	}
	q := &r.scans.request
	*q = scanRequest{pid: p.pid, inode: p.inode, from: *next, fds: q.fds[:0]}
	if mode == keepKnown && len(p.fds) > smallProcess {
		for _, fd := range p.fds {
			if fd.FD >= p.next && r.sockets[fd.Inode] != nil {
				q.fds = append(q.fds, fd)
			}
		}
	}
	if mode != verify && p.next == 0 {
		p.began = r.reads
		p.changed = false
	}
	result := r.scans.run(ctx, r, ph.left)
	if result == nil { // unresponsive
		p.changed = true
		return true
	}
	ph.spend(result.cpu)
	if result.err != nil {
		r.fail(p, result.err)
		return true
	}
	p.changed = p.changed || p.denied && mode == verify
	p.denied, p.thread = false, result.thread
	r.replaceFDs(p, result.fds, *next, result.next)
	*next = result.next
	if mode != verify {
		p.count = result.count
		if p.next == 0 {
			p.scanned = p.began
		}
	}
	return *next == 0
}

// fail handles the error of a scan.
func (r *procfsReader) fail(p *procfsProcess, err error) {
	if errors.Is(err, procfs.ErrAccessDenied) {
		p.denied, p.next, p.nextVerified = true, 0, 0
		r.replaceFDs(p, nil, 0, 0)
		return
	}
	p.changed = true // exited, or out of resources
	r.incomplete = r.incomplete || host.ResourceExhausted(err)
}

// replaceFDs replaces the descriptors of a process, from first to before next, by fds. A next of 0
// is the end. Sockets that the process owned and has closed have no owner then.
func (r *procfsReader) replaceFDs(p *procfsProcess, fds []procfs.SocketFD, first, next uint32) {
	from := fdIndex(p.fds, first)
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
		// A process with a lower PID may have a lost socket open too: assignLost finds it.
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

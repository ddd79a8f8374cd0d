package sockets

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

const (
	// scanTimeout is how long a scan that blocks may delay a Read. A process that is in
	// execve(2) blocks reads of its links, and a local user can make that last forever.
	scanTimeout = 50 * time.Millisecond

	// maxBlockedScans is the maximum number of scans that block at the same time. Each
	// occupies an operating system thread.
	maxBlockedScans = 12

	// maxBlockedOfUser is the maximum number of blocked scans of one user. A Reader then skips
	// all processes of that user. maxBlockedOfOthers leaves two scans for root, whose
	// processes other users cannot make block.
	maxBlockedOfUser   = 4
	maxBlockedOfOthers = maxBlockedScans - 2
)

// A scanRequest selects what a scan reads of a process.
type scanRequest struct {
	pid       int
	inode     uint64            // of /proc/PID
	from      uint32            // first descriptor
	fds       []procfs.SocketFD // known sockets
	onlyStart bool              // read the start time instead of descriptors
}

// A scanResult is what a scan has read.
type scanResult struct {
	fds    []procfs.SocketFD
	next   uint32 // as in [procfs.Reader.AppendSocketFDs]
	count  uint64 // number of descriptors before the scan
	thread int    // live thread whose descriptors were read, 0 for the main thread
	start  uint64 // clock ticks after boot
	err    error
	cpu    time.Duration
}

// descriptorScans are the scans of a procfsReader.
type descriptorScans struct {
	changed, search, searched, checked phase // in this order

	request scanRequest       // of the next scan
	merged  []procfs.SocketFD // memory
	number  uint64            // of scans

	scanner *scanner // nil before the first scan and after one was abandoned
	blocked []blockedScan
	ticker  *time.Ticker
	status  procfs.Status
}

// A blockedScan is an abandoned scan.
type blockedScan struct {
	scanner *scanner
	pid     int
	inode   uint64
	owner   uint32 // effective user ID
}

// A scanner reads files that may block, on its own goroutine. It uses only its own
// memory.
type scanner struct {
	reader   *procfs.Reader
	requests chan struct{} // request is ready
	results  chan struct{} // result is ready
	request  scanRequest
	result   scanResult
	limit    time.Duration // CPU time
	tids     []int         // memory
	began    time.Duration // CPU time of the thread at the start
	stop     func() bool
	tid      atomic.Int64
	deadline atomic.Bool
}

func newScanner(m *procfs.Mount) *scanner {
	s := &scanner{reader: procfs.NewReader(m), requests: make(chan struct{}), results: make(chan struct{}, 1)}
	s.stop = func() bool { return s.deadline.Load() || host.ThreadCPUTime()-s.began > s.limit }
	go s.loop()
	return s
}

// loop scans until requests is closed.
func (s *scanner) loop() {
	runtime.LockOSThread() // for host.ThreadCPUTime and host.BlockDetector; the thread ends with the goroutine
	s.tid.Store(int64(unix.Gettid()))
	for range s.requests {
		s.began = host.ThreadCPUTime()
		s.scan()
		s.result.cpu = host.ThreadCPUTime() - s.began
		s.results <- struct{}{}
	}
}

func (s *scanner) scan() {
	q := &s.request
	s.result = scanResult{fds: s.result.fds[:0]}
	result := &s.result
	if result.err = s.reader.OpenProcess(q.pid); result.err != nil {
		return
	}
	defer s.reader.CloseProcess()
	if inode := s.reader.DirInode(); inode != q.inode {
		result.err = procfs.ErrGone // another process has the PID, or the kernel has dropped the inode
		return
	}
	if q.onlyStart {
		result.start, result.err = s.readStart(q.pid)
		return
	}
	s.reader.RedirectToThread(0, 0)
	result.count, result.err = s.reader.CountFDs(q.pid)
	if result.err == nil && result.count == 0 {
		result.thread = s.findThread(q.pid)
	}
	if result.err == nil && result.count > 0 {
		result.fds, result.next, result.err = s.reader.AppendSocketFDs(result.fds, q.pid,
			procfs.SocketFDScan{From: q.from, Known: q.fds, Stop: s.stop})
	}
	s.reader.RedirectToThread(0, 0)
}

func (s *scanner) readStart(pid int) (uint64, error) {
	text, err := s.reader.Read(pid, "stat")
	if err != nil {
		return 0, err
	}
	var st procfs.Stat
	err = procfs.ParseStat(text, &st)
	return st.StartTicks, err
}

// findThread returns a live thread of a process whose main thread has exited, and makes
// the following calls read its descriptors. It returns 0 if there is none.
func (s *scanner) findThread(pid int) int {
	var err error
	if s.tids, err = s.reader.AppendTIDs(s.tids[:0], pid); err != nil {
		return 0
	}
	for _, tid := range s.tids {
		if tid == pid {
			continue
		}
		s.reader.RedirectToThread(pid, tid)
		if n, err := s.reader.CountFDs(pid); err == nil && n > 0 {
			s.result.count = n
			return tid
		}
	}
	return 0
}

// close ends the goroutines that do not block.
func (d *descriptorScans) close() {
	if d.scanner != nil {
		close(d.scanner.requests)
	}
	d.ticker.Stop()
}

// setBudget divides the budget of one Read.
func (d *descriptorScans) setBudget(limit time.Duration) {
	d.changed.limit = limit * changedPercent / 100
	d.search.limit = limit * searchPercent / 100
	d.searched.limit = limit * searchedPercent / 100
	d.checked.limit = limit * checkedPercent / 100
}

// refill adds the budgets of one Read, and removes abandoned scans that have ended.
func (d *descriptorScans) refill() {
	for _, ph := range [...]*phase{&d.changed, &d.search, &d.searched, &d.checked} {
		ph.refill()
	}
	d.blocked = slices.DeleteFunc(d.blocked, func(b blockedScan) bool {
		select {
		case <-b.scanner.results:
			return true
		default:
			return false
		}
	})
}

// possible reports whether another scan can run.
func (d *descriptorScans) possible(ctx context.Context) bool {
	return ctx.Err() == nil && len(d.blocked) < maxBlockedScans
}

// skips reports whether a process must not be scanned, because a scan of it blocks or may
// block.
func (d *descriptorScans) skips(r *procfsReader) bool {
	if len(d.blocked) == 0 {
		return false
	}
	ofUser, owner := 0, uint32(0)
	if len(d.blocked) >= maxBlockedOfUser {
		owner = d.ownerOf(r, d.request.pid)
	}
	for _, b := range d.blocked {
		if b.pid == d.request.pid && b.inode == d.request.inode {
			return true
		}
		if b.owner == owner {
			ofUser++
		}
	}
	return owner != 0 && (ofUser >= maxBlockedOfUser || len(d.blocked) >= maxBlockedOfOthers)
}

// ownerOf returns the effective user ID of a process, or root if it is unknown. The status
// file never blocks.
func (d *descriptorScans) ownerOf(r *procfsReader, pid int) uint32 {
	text, err := r.reader.Read(pid, "status")
	if err != nil || procfs.ParseStatus(text, &d.status) != nil {
		return 0
	}
	return d.status.UIDs[1]
}

// readStart reads the start time of a process. It returns false if it cannot.
func (d *descriptorScans) readStart(ctx context.Context, r *procfsReader, p *procfsProcess) bool {
	d.request = scanRequest{pid: p.pid, inode: p.inode, fds: d.request.fds[:0], onlyStart: true}
	result := d.run(ctx, r, 0)
	if result == nil || result.err != nil {
		return false
	}
	p.start, p.hasStart = result.start, true
	return true
}

// run scans as d.request says, with a limit of CPU time for descriptors. It returns nil if the
// scan blocks or may block. The result is valid until the next call.
func (d *descriptorScans) run(ctx context.Context, r *procfsReader, limit time.Duration) *scanResult {
	if d.skips(r) || len(d.blocked) >= maxBlockedScans {
		return nil
	}
	if d.scanner == nil {
		d.scanner = newScanner(r.mount)
	}
	s := d.scanner
	pid, inode := d.request.pid, d.request.inode
	d.request, s.request = scanRequest{fds: s.request.fds}, d.request
	s.limit = limit
	s.deadline.Store(false)
	s.requests <- struct{}{}
	if !d.wait(ctx, s) {
		d.blocked = append(d.blocked, blockedScan{s, pid, inode, d.ownerOf(r, pid)})
		close(s.requests)
		d.scanner = nil
		return nil
	}
	return &s.result
}

// wait waits for the result of s. It returns false if s blocks for scanTimeout.
func (d *descriptorScans) wait(ctx context.Context, s *scanner) bool {
	d.ticker.Reset(scanTimeout / 2)
	defer d.ticker.Stop()
	deadline := ctx.Done()
	for detector := host.NewBlockDetector(scanTimeout); ; {
		select {
		case <-s.results:
			return true
		case <-deadline:
			s.deadline.Store(true)
			deadline = nil
		case now := <-d.ticker.C:
			if detector.Tick(now, s.tid.Load()) {
				return false
			}
		}
	}
}

package platform

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// readTimeout is how long the reads of one process may delay a walk.
const readTimeout = 50 * time.Millisecond

// A worker reads processes on its own goroutine, so that a read that blocks delays only
// that goroutine. If a worker makes no progress, its caller abandons it. An abandoned
// worker uses only its own memory, and ends when its read returns.
type worker struct {
	src     *procfsSource
	reader  *procfs.Reader
	scratch scratch

	walkNumber uint64
	walkStart  uint64 // in clock ticks after boot
	smapsFirst int    // PID from which smaps is read again
	skipSmaps  bool   // Snapshot.SkipSmaps

	tid            atomic.Int64  // thread ID of the goroutine
	pid            atomic.Int64  // process being read
	inode          atomic.Uint64 // inode number of its directory, 0 if unknown
	commits        atomic.Uint64 // increases with every process
	deadlinePassed atomic.Bool

	mu        sync.Mutex // guards the fields below, the Snapshot and the stateTable
	abandoned bool
	finished  bool
	next      int // index of the first process that is not done
	err       error
}

func newWorker(s *procfsSource) *worker {
	return &worker{src: s, reader: procfs.NewReader(s.mount), scratch: newScratch(s.seed)}
}

// run calls work with w and waits for it. It returns false if a read of one process
// blocks for longer than readTimeout. In that case w is abandoned.
func (s *procfsSource) run(ctx context.Context, w *worker, work func(*worker)) bool {
	w.deadlinePassed.Store(false)
	w.finished = false // no other goroutine uses w yet
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.runOnThread(work)
	}()
	ticker := time.NewTicker(readTimeout / 2)
	defer ticker.Stop()
	deadline := ctx.Done()
	commits, detector := w.commits.Load(), host.NewBlockDetector(readTimeout)
	for {
		select {
		case <-done:
			return true
		case <-deadline:
			w.deadlinePassed.Store(true)
			deadline = nil
		case now := <-ticker.C:
			if n := w.commits.Load(); n != commits {
				commits = n
				detector.Reset(now)
			} else if detector.Tick(now, w.tid.Load()) && w.abandon() {
				return false
			}
		}
	}
}

// runOnThread calls work with the goroutine locked to its OS thread, so that
// a host.BlockDetector can read the state of that thread.
func (w *worker) runOnThread(work func(*worker)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w.tid.Store(int64(unix.Gettid()))
	work(w)
	w.mu.Lock()
	w.finished = true
	abandoned := w.abandoned
	w.mu.Unlock()
	if abandoned {
		w.src.quarantine.release(w)
	}
}

// abandon abandons w and quarantines the process that it reads. It returns false if w has
// finished.
func (w *worker) abandon() bool {
	s, pid := w.src, int(w.pid.Load())
	p := unresponsiveProcess{pid, w.inode.Load(), s.ownerOf(pid)}
	q := &s.quarantine
	q.mu.Lock()
	defer q.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished {
		return false
	}
	w.abandoned = true
	s.spareWorker = nil
	q.add(w, p)
	return true
}

// progress returns the index of the first process that w has not done, and the error that
// stopped it.
func (w *worker) progress() (next int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next, w.err
}

// setCurrent records which process is read next. An inode of 0 is unknown.
func (w *worker) setCurrent(pid int, inode uint64) {
	w.pid.Store(int64(pid))
	w.inode.Store(inode)
}

// start begins a list of processes at index from.
func (w *worker) start(from int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next, w.err = from, nil
}

// commit calls update, which may use the Snapshot and the stateTable, and sets the next
// process. If w was abandoned it returns false and does not call update.
func (w *worker) commit(next int, update func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.abandoned {
		return false
	}
	update()
	w.next = next
	w.commits.Add(1)
	return true
}

// setWalk resets the counters of w if the walk of snap is new to it.
func (w *worker) setWalk(snap *Snapshot) {
	if w.walkNumber != snap.walks {
		w.walkNumber, w.walkStart, w.scratch.wchanReads, w.scratch.smapsTime = snap.walks, snap.Now, 0, 0
		w.skipSmaps = snap.SkipSmaps
	}
}

// walk reads the processes listed[from:] into the Samples with the same index.
func (w *worker) walk(snap *Snapshot, listed []procfs.Entry, from int) {
	w.start(from)
	w.setWalk(snap)
	for i := from; i < len(listed) && !w.deadlinePassed.Load(); i++ {
		pid, inode := listed[i].PID, listed[i].Inode
		w.setCurrent(pid, inode)
		prev := &w.scratch.prev
		if !w.commit(i, func() { w.src.states.load(i, prev) }) {
			return
		}
		if w.skips(pid, inode) {
			if !w.keepSkipped(snap, i, inode) {
				return
			}
			continue
		}
		if prev.blank() {
			prev = nil
		}
		found, err := w.sample(pid, inode, prev)
		if err != nil && host.ResourceExhausted(err) {
			w.fail(err)
			return
		}
		if !w.commit(i+1, func() {
			if found {
				w.src.states.store(i, &w.scratch.sample)
				return
			}
			if errors.Is(err, procfs.ErrGone) {
				w.src.exited++
			} else {
				snap.WithoutSample++
				// Every PID namespace has a PID 1, which is visible without hidepid.
				snap.HidePID = snap.HidePID || pid == 1 && errors.Is(err, procfs.ErrAccessDenied)
			}
			w.src.states.remove(i)
		}) {
			return
		}
	}
}

// keepSkipped keeps the Sample of the process of w.scratch.prev, which is skipped, with the
// values that never block. It returns false if w was abandoned.
func (w *worker) keepSkipped(snap *Snapshot, i int, inode uint64) bool {
	kept := &w.scratch.sample.Sample
	if *kept = w.scratch.prev.Sample; !kept.blank() {
		*kept = kept.unread()
		w.scratch.nonBlocking.read(w.src, w.reader, kept)
	}
	blocks := w.src.quarantine.contains(kept.PID, inode) // otherwise skipped because a read may block
	return w.commit(i+1, func() {
		if blocks {
			w.src.unread++
		} else {
			snap.Unresponsive++
		}
		if kept.blank() {
			w.src.states.remove(i)
		} else {
			snap.Samples[i] = *kept
			w.src.states.processes[i].activity = activity{}
		}
	})
}

func (w *worker) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// complete reads again the processes of snap that lack a wanted field.
func (w *worker) complete(snap *Snapshot, from int) {
	w.start(from)
	w.setWalk(snap)
	for i := from; i < len(snap.Samples) && !w.deadlinePassed.Load(); i++ {
		prev, lacks := &w.scratch.prev, false
		if !w.commit(i, func() {
			s := &snap.Samples[i]
			if lacks = s.Want&^(s.Have|s.Unreadable|s.Skipped) != 0; lacks {
				w.src.states.load(i, prev)
			}
		}) {
			return
		}
		if !lacks {
			continue
		}
		w.setCurrent(prev.PID, prev.state.inode)
		if w.skips(prev.PID, 0) {
			if !w.commit(i+1, func() { snap.Samples[i].Unreadable |= prev.Want &^ prev.Have }) {
				return
			}
			continue
		}
		found, _ := w.sample(prev.PID, prev.state.inode, prev)
		same := found && w.scratch.sample.ID == prev.ID
		// The next walk compares with the time of the walk, not with that of this call. A
		// marker of 0 makes it read again what was unreadable.
		w.scratch.sample.Idle = prev.Idle
		if marker := &w.scratch.sample.state.activity.marker; *marker != 0 {
			*marker = prev.state.activity.marker
		}
		if !w.commit(i+1, func() {
			if same {
				w.src.states.store(i, &w.scratch.sample)
			}
		}) {
			return
		}
	}
	if !w.deadlinePassed.Load() {
		w.commit(len(snap.Samples), func() {})
	}
}

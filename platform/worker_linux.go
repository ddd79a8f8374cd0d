package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// patience is how long one process may keep a walk waiting.
const patience = 50 * time.Millisecond

// A worker reads processes on a goroutine of its own, so that a file which does
// not answer holds up that goroutine and nobody else. Who waits for a worker
// abandons it when it makes no progress; from then on the worker may touch
// nothing but itself, and goes away when its read returns.
type worker struct {
	src    *source
	reader *procfs.Reader
	read   scratch
	turn   uint64 // the number of the walk
	now    uint64 // ticks after boot when it began
	smaps  int    // the PID from which on it reads smaps again

	thread atomic.Int64  // the kernel's id of the thread that reads
	pid    atomic.Int64  // the process being read
	inode  atomic.Uint64 // of its directory, 0 if unknown
	beat   atomic.Uint64 // grows with every process
	stop   atomic.Bool   // the deadline has come

	mu        sync.Mutex // guards what follows, and the snapshot that is worked on
	abandoned bool
	finished  bool
	next      int // index of the first process not dealt with
	err       error
}

func newWorker(s *source) *worker {
	return &worker{src: s, reader: procfs.NewReader(s.mount), read: newScratch(s.seed)}
}

// attempt runs work on w and waits for it. It returns false when one process
// kept w waiting for too long; w is abandoned then.
func (s *source) attempt(ctx context.Context, w *worker, work func(*worker)) bool {
	w.stop.Store(false)
	w.finished = false // nobody else knows of w yet
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(work)
	}()
	ticker := time.NewTicker(patience / 2)
	defer ticker.Stop()
	deadline := ctx.Done()
	seen, quiet, last := w.beat.Load(), 0, time.Now()
	for {
		select {
		case <-done:
			return true
		case <-deadline:
			w.stop.Store(true)
			deadline = nil
		case now := <-ticker.C:
			// Ticks that come late say that we were not running either.
			late := now.Sub(last) > patience
			last = now
			if beat := w.beat.Load(); beat != seen || late {
				seen, quiet = beat, 0
				continue
			}
			if !w.blocked() {
				quiet = 0
			} else if quiet++; quiet >= 2 && w.abandon() {
				return false
			}
		}
	}
}

// run does the work on a thread that blocked can look at.
func (w *worker) run(work func(*worker)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w.thread.Store(int64(unix.Gettid()))
	work(w)
	w.mu.Lock()
	w.finished = true
	abandoned := w.abandoned
	w.mu.Unlock()
	if abandoned {
		w.src.quarantine.release(w)
	}
}

// blocked reports whether the thread at work waits in the kernel for a file.
// On a busy machine it may as well be ready to run and short of CPU, or wait for
// Go's scheduler, which is done on a futex: it will go on then.
func (w *worker) blocked() bool {
	thread := w.thread.Load()
	call, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", thread))
	if err == nil {
		number, _, _ := strings.Cut(string(call), " ") // or the word "running"
		if n, err := strconv.Atoi(number); err != nil || n == unix.SYS_FUTEX {
			return false
		}
	}
	// A process that is not dumpable may not see its own system calls, unless it
	// is root's. The sleep of a futex is one that signals end, that of a file of
	// /proc is not.
	asked := err == nil
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", thread))
	if err != nil {
		return true // no /proc of our own to ask
	}
	var st procfs.Stat
	if procfs.ParseStat(text, &st) != nil {
		return true
	}
	return st.State == 'D' || asked && st.State != 'R'
}

// abandon gives w up and remembers the process it hangs at. It returns false
// when w has just finished after all.
func (w *worker) abandon() bool {
	s, pid := w.src, int(w.pid.Load())
	c := captive{pid, w.inode.Load(), s.ownerOf(pid)}
	q := &s.quarantine
	q.mu.Lock()
	defer q.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished {
		return false
	}
	w.abandoned = true
	s.idle = nil
	q.add(w, c)
	return true
}

// reached returns the index of the first process that w has not dealt with, and
// the error that kept it from going on.
func (w *worker) reached() (next int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next, w.err
}

// comesTo says which process is read from now on. An inode of 0 is unknown.
func (w *worker) comesTo(pid int, inode uint64) {
	w.pid.Store(int64(pid))
	w.inode.Store(inode)
}

// begin says that w starts on a list of processes at index from.
func (w *worker) begin(from int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next, w.err = from, nil
}

// commit runs keep, which may touch the snapshot, and steps on to the next
// process. It returns false, and runs nothing, when w was abandoned.
func (w *worker) commit(next int, keep func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.abandoned {
		return false
	}
	keep()
	w.next = next
	w.beat.Add(1)
	return true
}

// joins tells w of the walk that snap is of, unless it knows.
func (w *worker) joins(snap *Snapshot) {
	if w.turn != snap.walks {
		w.turn, w.now, w.read.asked, w.read.spent = snap.walks, snap.Now, 0, 0
	}
}

// walk reads the processes listed[from:] into the places that snap has for them.
func (w *worker) walk(snap *Snapshot, listed []procfs.Entry, from int) {
	w.begin(from)
	w.joins(snap)
	for i := from; i < len(listed) && !w.stop.Load(); i++ {
		pid, inode := listed[i].PID, listed[i].Inode
		w.comesTo(pid, inode)
		prev := &w.read.prev
		if !w.commit(i, func() { *prev = snap.Samples[i] }) {
			return
		}
		if w.avoids(pid, inode) {
			if !w.holdAvoided(snap, i, inode) {
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
				snap.put(i, &w.read.sample)
				return
			}
			if !errors.Is(err, procfs.ErrGone) {
				snap.Hidden++
				// Every PID namespace has a first process, which all may see.
				snap.HidePID = snap.HidePID || pid == 1 && errors.Is(err, procfs.ErrAccessDenied)
			}
			snap.drop(i)
		}) {
			return
		}
	}
}

// holdAvoided keeps the place of the process that w.read.prev is of. It returns
// false when w was abandoned.
func (w *worker) holdAvoided(snap *Snapshot, i int, inode uint64) bool {
	held, shunned := &w.read.sample, 0
	if *held = w.read.prev; !held.blank() {
		*held = held.unread()
		w.read.vitals.read(w.src, w.reader, held)
	}
	if !w.src.quarantine.has(held.PID, inode) { // no reader hangs at it
		shunned = 1
	}
	return w.commit(i+1, func() {
		if snap.Unresponsive += shunned; held.blank() {
			snap.drop(i)
		} else {
			snap.Samples[i] = *held
		}
	})
}

func (w *worker) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// complete reads again the processes of snap that lack a part that is wanted.
func (w *worker) complete(snap *Snapshot, from int) {
	w.begin(from)
	w.joins(snap)
	for i := from; i < len(snap.Samples) && !w.stop.Load(); i++ {
		prev, lacks := &w.read.prev, false
		if !w.commit(i, func() {
			s := &snap.Samples[i]
			if lacks = s.Want&^(s.Have|s.Lost|s.Skipped) != 0; lacks {
				*prev = *s
			}
		}) {
			return
		}
		if !lacks {
			continue
		}
		w.comesTo(prev.PID, prev.inode)
		if w.avoids(prev.PID, 0) {
			if !w.commit(i+1, func() { snap.Samples[i].Lost |= prev.Want &^ prev.Have }) {
				return
			}
			continue
		}
		found, _ := w.sample(prev.PID, prev.inode, prev)
		same := found && w.read.sample.ID == prev.ID
		if !w.commit(i+1, func() {
			if same {
				snap.put(i, &w.read.sample)
			}
		}) {
			return
		}
	}
	if !w.stop.Load() {
		w.commit(len(snap.Samples), func() {})
	}
}

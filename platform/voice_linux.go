package platform

import (
	"errors"

	"github.com/seed57308aee/process_exporter/procfs"
)

// The main thread of a process may exit while others live on. The process looks
// like a zombie then: its files tell of no memory, no descriptors and no command
// line, though it has them all. The files of any of its other threads do, and so
// one of these speaks for it. What its own files sum up over all threads, CPU time
// and I/O, they still do.

// headless reports whether a process lives on without its main thread.
func headless(s *Sample) bool { return s.State == 'Z' && s.Threads > 1 }

// errNoVoice says that the main thread has exited, and no other was there to be
// asked.
var errNoVoice = errors.New("the main thread has exited")

// findVoice looks for a thread to speak for a process that needs one, and leaves
// its stat in w.read.stat.
func (w *worker) findVoice(s *Sample) {
	w.read.voice = 0
	if !headless(s) {
		return
	}
	var err error
	if w.read.tids, err = w.reader.AppendTIDs(w.read.tids[:0], s.PID); err != nil {
		return
	}
	for _, tid := range w.read.tids {
		text, err := w.reader.ReadTask(s.PID, tid, "stat")
		if err == nil && procfs.ParseStat(text, &w.read.stat) == nil && !exiting(&w.read.stat) {
			w.read.voice = tid
			return
		}
	}
}

// takeVoice completes a Sample that has what the stat of its process says.
func (w *worker) takeVoice(s *Sample) {
	if w.findVoice(s); w.read.voice != 0 {
		s.VirtualBytes, s.ResidentBytes = w.read.stat.VirtualBytes, w.read.stat.ResidentPages*w.src.page
	}
}

// voiceSwap completes what the status of its process says. The switches there are
// those of the main thread.
func (w *worker) voiceSwap(s *Sample) error {
	if w.read.voice == 0 {
		return nil
	}
	return w.throughVoice(s.PID, func() error {
		text, err := w.reader.Read(s.PID, "status")
		if err == nil {
			err = procfs.ParseStatusFields(text, procfs.StatusSwap, &w.read.status)
		}
		s.SwapBytes = w.read.status.SwapBytes
		return err
	})
}

// throughVoice has read find the files of the thread that speaks for a process.
func (w *worker) throughVoice(pid int, read func() error) error {
	if w.read.voice == 0 {
		return errNoVoice
	}
	w.reader.ReadViaThread(pid, w.read.voice)
	defer w.reader.ReadViaThread(0, 0)
	return read()
}

package platform

import (
	"errors"

	"github.com/seed57308aee/process_exporter/procfs"
)

// The main thread of a process may exit before its other threads. The files of the process
// then describe a zombie, without memory, descriptors and command line. The files of any
// live thread of it have them, so these are read instead. CPU time and I/O of the process
// are still correct in its own files, which sum all threads.

// zombieMainThread reports whether only the main thread of the process has exited.
func zombieMainThread(s *Sample) bool { return s.State == 'Z' && s.NumThreads > 1 }

// errNoLiveThread is the error of reading a process with a zombie main thread if no live thread
// was found.
var errNoLiveThread = errors.New("the main thread has exited and no live thread was found")

// findLiveThread sets w.scratch.liveThread to a live thread of a process with a zombie main
// thread, and reads its stat into w.scratch.stat. For other processes it sets 0.
func (w *worker) findLiveThread(s *Sample) {
	w.scratch.liveThread = 0
	if !zombieMainThread(s) {
		return
	}
	var err error
	if w.scratch.tids, err = w.reader.AppendTIDs(w.scratch.tids[:0], s.PID); err != nil {
		return
	}
	for _, tid := range w.scratch.tids {
		text, err := w.reader.ReadTask(s.PID, tid, "stat")
		if err == nil && procfs.ParseStat(text, &w.scratch.stat) == nil && !exiting(&w.scratch.stat) {
			w.scratch.liveThread = tid
			return
		}
	}
}

// readLiveThreadMemory sets the memory of a process with a zombie main thread.
func (w *worker) readLiveThreadMemory(s *Sample) {
	if w.findLiveThread(s); w.scratch.liveThread != 0 {
		s.VirtualBytes, s.ResidentBytes = w.scratch.stat.VirtualBytes, w.scratch.stat.ResidentPages*w.src.pageSize
	}
}

// readLiveThreadStatus sets the swap and the resident memory of a process with a zombie
// main thread. Its context switches are still those of the main thread.
func (w *worker) readLiveThreadStatus(s *Sample) error {
	if w.scratch.liveThread == 0 {
		return nil
	}
	return w.viaLiveThread(s.PID, func() error {
		text, err := w.reader.Read(s.PID, "status")
		if err == nil {
			err = procfs.ParseStatusFields(text, procfs.StatusSwap|procfs.StatusResident, &w.scratch.status)
		}
		if err != nil {
			return err
		}
		s.SwapBytes = w.scratch.status.SwapBytes
		if w.scratch.status.Have&procfs.StatusResident != 0 {
			s.ResidentBytes = w.scratch.status.ResidentBytes
		}
		return nil
	})
}

// viaLiveThread calls read while the reader opens the files of the live thread in place of
// those of the process.
func (w *worker) viaLiveThread(pid int, read func() error) error {
	if w.scratch.liveThread == 0 {
		return errNoLiveThread
	}
	w.reader.RedirectToThread(pid, w.scratch.liveThread)
	defer w.reader.RedirectToThread(0, 0)
	return read()
}

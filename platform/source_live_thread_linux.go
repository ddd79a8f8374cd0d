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
func zombieMainThread(s *Sample) bool { return s.State == 'Z' && s.Threads > 1 }

// errNoLiveThread is the error of reading a process with a zombie main thread if no live thread
// was found.
var errNoLiveThread = errors.New("the main thread has exited and no live thread was found")

// findLiveThread sets w.read.liveThread to a live thread of a process with a zombie main thread,
// and reads its stat into w.read.stat. For other processes it sets 0.
func (w *worker) findLiveThread(s *Sample) {
	w.read.liveThread = 0
	if !zombieMainThread(s) {
		return
	}
	var err error
	if w.read.tids, err = w.reader.AppendTIDs(w.read.tids[:0], s.PID); err != nil {
		return
	}
	for _, tid := range w.read.tids {
		text, err := w.reader.ReadTask(s.PID, tid, "stat")
		if err == nil && procfs.ParseStat(text, &w.read.stat) == nil && !exiting(&w.read.stat) {
			w.read.liveThread = tid
			return
		}
	}
}

// readLiveThreadMemory sets the memory of a process with a zombie main thread.
func (w *worker) readLiveThreadMemory(s *Sample) {
	if w.findLiveThread(s); w.read.liveThread != 0 {
		s.VirtualBytes, s.ResidentBytes = w.read.stat.VirtualBytes, w.read.stat.ResidentPages*w.src.page
	}
}

// readLiveThreadStatus sets the swap and the resident memory of a process with a zombie
// main thread. Its context switches are still those of the main thread.
func (w *worker) readLiveThreadStatus(s *Sample) error {
	if w.read.liveThread == 0 {
		return nil
	}
	return w.viaLiveThread(s.PID, func() error {
		text, err := w.reader.Read(s.PID, "status")
		if err == nil {
			err = procfs.ParseStatusFields(text, procfs.StatusSwap|procfs.StatusResident, &w.read.status)
		}
		if err != nil {
			return err
		}
		s.SwapBytes = w.read.status.SwapBytes
		if w.read.status.Have&procfs.StatusResident != 0 {
			s.ResidentBytes = w.read.status.ResidentBytes
		}
		return nil
	})
}

// viaLiveThread calls read while the reader opens the files of the live thread in place of
// those of the process.
func (w *worker) viaLiveThread(pid int, read func() error) error {
	if w.read.liveThread == 0 {
		return errNoLiveThread
	}
	w.reader.ReadViaThread(pid, w.read.liveThread)
	defer w.reader.ReadViaThread(0, 0)
	return read()
}

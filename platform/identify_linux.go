package platform

import (
	"errors"
	"io/fs"

	"github.com/seed57308aee/process_exporter/procfs"
)

// identify reads the names of a process. They are read one after the other, and
// the process may exit in between and its PID go to another: stat comes last and
// must still show the same start. A process that became a zombie since the walk
// has lost its command line, and counts as gone.
func (w *worker) identify(target Sample, want Words) (Identity, error) {
	w.pid.Store(int64(target.PID))
	w.read.hasUser = false
	id := Identity{ID: target.ID}
	if want&WordArgs != 0 && !target.Kernel {
		text, err := w.reader.ReadAll(target.PID, "cmdline")
		if err := passDenied(err); err != nil {
			return id, err
		}
		id.Args = procfs.AppendArgs(nil, text)
	}
	if want&WordUser != 0 {
		text, err := w.reader.Read(target.PID, "status")
		if err := passDenied(err); err != nil {
			return id, err
		}
		if err == nil && procfs.ParseStatus(text, &w.read.status) == nil && w.read.status.Have&procfs.StatusUIDs != 0 {
			id.EUID, w.read.hasUser = w.read.status.UIDs[1], true
		}
	}
	if want&WordCgroups != 0 {
		text, err := w.reader.Read(target.PID, "cgroup")
		if err := passDenied(err); err != nil {
			return id, err
		}
		id.Cgroups = procfs.AppendCgroupPaths(nil, text)
	}
	text, err := w.reader.Read(target.PID, "stat")
	if err != nil {
		return id, err
	}
	if err := procfs.ParseStat(text, &w.read.stat); err != nil {
		return id, err
	}
	if w.read.stat.StartTicks != target.Start || exiting(&w.read.stat) && target.State != 'Z' && !target.Kernel {
		return id, procfs.ErrGone
	}
	id.Comm = string(w.read.stat.Comm)
	return id, nil
}

// passDenied returns err unless it only says that a file is kept from us, or
// that this kernel does not have it: the word stays empty then.
func passDenied(err error) error {
	if err == nil || errors.Is(err, procfs.ErrAccessDenied) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

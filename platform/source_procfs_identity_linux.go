package platform

import (
	"context"
	"errors"
	"hash/maphash"
	"io/fs"
	"strings"
	"time"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/procfs"
)

// identify reads the identity of a process. The process may have exited and another may have
// its PID: stat is read last and must have the same start time. A process that became a
// zombie since the walk has no command line, and counts as gone. inode is that of its
// directory, 0 if unknown.
func (w *worker) identify(target Sample, inode uint64, want IdentityFields) (Identity, error) {
	id := Identity{ID: target.ID}
	w.setCurrent(target.PID, inode)
	if err := w.reader.OpenProcess(target.PID); err != nil {
		return id, err
	}
	defer w.reader.CloseProcess()
	if inode != 0 && inodesDiffer(inode, w.reader.DirInode()) {
		return id, procfs.ErrGone
	}
	err := w.readIdentity(&target, want, func(field IdentityFields, text []byte) {
		switch field {
		case IdentityArgs:
			id.Args = procfs.AppendArgs(nil, text)
		case IdentityUser:
			id.EUID = w.scratch.status.UIDs[1]
		case IdentityCgroups:
			id.Cgroups = procfs.AppendCgroupPaths(nil, text)
		case IdentityExe:
			id.Exe = strings.TrimSuffix(string(text), deletedSuffix)
		}
	})
	if err == nil {
		err = w.verifySame(&target)
	}
	id.Comm, id.Fingerprint = string(w.scratch.stat.Comm), w.fingerprint()
	return id, err
}

// deletedSuffix is the suffix that the kernel appends to the path of a deleted file, as
// after an upgrade of its package.
const deletedSuffix = " (deleted)"

// readIdentity reads the wanted fields of an identity and adds them to the hash
// w.scratch.identity. If use is not nil, it calls use with the text of each file. It does not
// verify that the PID still belongs to the process.
func (w *worker) readIdentity(target *Sample, want IdentityFields, use func(IdentityFields, []byte)) error {
	w.scratch.hasUser = false
	hash := &w.scratch.identity
	hash.Reset()
	add := func(field IdentityFields, text []byte, err error) error {
		if err != nil {
			return ignoreMissing(err)
		}
		if field == IdentityUser {
			if err := procfs.ParseStatus(text, &w.scratch.status); err != nil {
				return err
			}
			if w.scratch.status.Have&procfs.StatusUIDs == 0 {
				return errIncomplete
			}
			w.scratch.hasUser = true
			maphash.WriteComparable(hash, w.scratch.status.UIDs[1])
		} else {
			_, _ = hash.Write(text) // never fails
		}
		_ = hash.WriteByte(byte(field)) // separates the fields
		if use != nil {
			use(field, text)
		}
		return nil
	}
	if w.findLiveThread(target); w.scratch.liveThread != 0 {
		w.reader.RedirectToThread(target.PID, w.scratch.liveThread)
		defer w.reader.RedirectToThread(0, 0)
	}
	if want&IdentityArgs != 0 && !target.KernelThread {
		text, err := w.reader.ReadPrefix(target.PID, "cmdline")
		if err := add(IdentityArgs, text, err); err != nil {
			return err
		}
	}
	if want&IdentityUser != 0 {
		text, err := w.reader.Read(target.PID, "status")
		if err := add(IdentityUser, text, err); err != nil {
			return err
		}
	}
	if want&IdentityCgroups != 0 {
		// A short read cannot be detected from the text, so read to the end.
		text, err := w.reader.ReadAll(target.PID, "cgroup")
		if err := add(IdentityCgroups, text, err); err != nil {
			return err
		}
	}
	if want&IdentityExe != 0 && !target.KernelThread {
		text, err := w.reader.ReadLink(target.PID, "exe")
		if err := add(IdentityExe, text, err); err != nil {
			return err
		}
	}
	return nil
}

// fingerprint returns the hash of the fields that readIdentity has read. It is never 0.
func (w *worker) fingerprint() uint64 { return max(w.scratch.identity.Sum64(), 1) }

// verifySame reads the stat of a process. It returns ErrGone if the PID belongs to another
// process, or if the process has become a zombie.
func (w *worker) verifySame(target *Sample) error {
	if err := w.readStat(target.PID); err != nil {
		return err
	}
	if w.scratch.stat.StartTicks != target.Start || exiting(&w.scratch.stat) && target.State != 'Z' && !target.KernelThread {
		return procfs.ErrGone
	}
	return nil
}

// readStat reads the stat of a process into w.scratch.stat.
func (w *worker) readStat(pid int) error {
	text, err := w.reader.Read(pid, "stat")
	if err != nil {
		return err
	}
	return procfs.ParseStat(text, &w.scratch.stat)
}

// ignoreMissing returns nil if err means that access to a file is denied or that the
// kernel lacks it: the field then stays empty. It returns other errors.
func ignoreMissing(err error) error {
	if errors.Is(err, procfs.ErrAccessDenied) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// fingerprintBudget is the CPU time that one call of Fingerprints may spend. It suffices for
// hundreds of processes, at 8 to 40 µs each.
const fingerprintBudget = 20 * time.Millisecond

// Fingerprints implements Source.
func (s *procfsSource) Fingerprints(
	ctx context.Context, snap *Snapshot, indexes []int, want IdentityFields, fingerprints []uint64,
) (read int) {
	s.lastFingerprints = append(s.lastFingerprints[:0], fingerprints...)
	clear(fingerprints)
	for read < len(indexes) {
		w := s.worker()
		if w == nil || ctx.Err() != nil {
			return read
		}
		from := read
		finished := s.run(ctx, w, func(w *worker) { w.fingerprints(snap, indexes, from, want, fingerprints) })
		if read, _ = w.progress(); finished {
			return read
		}
		read++ // the process is unresponsive
	}
	return read
}

// fingerprints computes the fingerprints of the processes of indexes[from:] within the budget. An
// unchanged fingerprint belongs to the same process: no other file has to be read to
// verify it.
func (w *worker) fingerprints(snap *Snapshot, indexes []int, from int, want IdentityFields, fingerprints []uint64) {
	w.start(from)
	target, start := &w.scratch.prev.Sample, host.ThreadCPUTime()
	for i := from; i < len(indexes) && !w.deadlinePassed.Load(); i++ {
		if i > 0 && host.ThreadCPUTime()-start > w.src.fingerprintBudget {
			return
		}
		now, last, inode := uint64(0), uint64(0), uint64(0)
		if !w.commit(i, func() {
			*target, last = snap.Samples[indexes[i]], w.src.lastFingerprints[i]
			inode = w.src.states.inode(target.PID)
		}) {
			return
		}
		w.setCurrent(target.PID, inode)
		if !w.skips(target.PID, 0) && w.readIdentity(target, want, nil) == nil {
			now = w.fingerprint()
		}
		if now != 0 && now != last && w.verifySame(target) != nil {
			now = 0
		}
		if !w.commit(i+1, func() { fingerprints[i] = now }) {
			return
		}
	}
}

package platform

import (
	"context"
	"errors"
	"hash/maphash"
	"io/fs"
	"strings"

	"github.com/seed57308aee/process_exporter/procfs"
)

// identify reads the names of a process. The process may have exited, and its PID
// have gone to another: stat comes last and must still show the same start. A
// process that became a zombie since the walk has lost its command line, and counts
// as gone.
func (w *worker) identify(target Sample, want IdentityFields) (Identity, error) {
	id := Identity{ID: target.ID}
	w.comesTo(target.PID, target.inode)
	if err := w.reader.OpenProcess(target.PID); err != nil {
		return id, err
	}
	defer w.reader.CloseProcess()
	if target.inode != 0 && differs(target.inode, w.reader.DirInode()) {
		return id, procfs.ErrGone
	}
	err := w.readWords(&target, want, func(word IdentityFields, text []byte) {
		switch word {
		case IdentityArgs:
			id.Args = procfs.AppendArgs(nil, text)
		case IdentityUser:
			id.EUID = w.read.status.UIDs[1]
		case IdentityCgroups:
			id.Cgroups = procfs.AppendCgroupPaths(nil, text)
		case IdentityExe:
			id.Exe = strings.TrimSuffix(string(text), deletedSuffix)
		}
	})
	if err == nil {
		err = w.stillThere(&target)
	}
	id.Comm, id.Fingerprint = string(w.read.stat.Comm), w.sum()
	return id, err
}

// deletedSuffix is what the kernel appends to the path of a file that has been
// removed, as by an upgrade of its package.
const deletedSuffix = " (deleted)"

// readWords reads the names of a process that want asks for, hands each text to
// use, if there is a use for it, and adds them up in w.read.words. Whether they
// are of that process is not looked at.
func (w *worker) readWords(target *Sample, want IdentityFields, use func(IdentityFields, []byte)) error {
	w.read.hasUser = false
	sum := &w.read.words
	sum.Reset()
	take := func(word IdentityFields, text []byte, err error) error {
		if err != nil {
			return passDenied(err)
		}
		if word == IdentityUser {
			if err := procfs.ParseStatus(text, &w.read.status); err != nil {
				return err
			}
			if w.read.status.Have&procfs.StatusUIDs == 0 {
				return errIncomplete
			}
			w.read.hasUser = true
			maphash.WriteComparable(sum, w.read.status.UIDs[1])
		} else {
			_, _ = sum.Write(text) // never fails
		}
		_ = sum.WriteByte(byte(word)) // what ends here is not what begins there
		if use != nil {
			use(word, text)
		}
		return nil
	}
	if w.findVoice(target); w.read.voice != 0 {
		w.reader.ReadViaThread(target.PID, w.read.voice)
		defer w.reader.ReadViaThread(0, 0)
	}
	if want&IdentityArgs != 0 && !target.Kernel {
		text, err := w.reader.ReadPrefix(target.PID, "cmdline")
		if err := take(IdentityArgs, text, err); err != nil {
			return err
		}
	}
	if want&IdentityUser != 0 {
		text, err := w.reader.Read(target.PID, "status")
		if err := take(IdentityUser, text, err); err != nil {
			return err
		}
	}
	if want&IdentityCgroups != 0 {
		// Nothing tells that a line is missing, so read until none comes.
		text, err := w.reader.ReadAll(target.PID, "cgroup")
		if err := take(IdentityCgroups, text, err); err != nil {
			return err
		}
	}
	if want&IdentityExe != 0 && !target.Kernel {
		text, err := w.reader.ReadLink(target.PID, "exe")
		if err := take(IdentityExe, text, err); err != nil {
			return err
		}
	}
	return nil
}

// sum returns the sum of the words that readWords has read.
func (w *worker) sum() uint64 { return max(w.read.words.Sum64(), 1) }

// stillThere reads the stat of a process and returns ErrGone if it has become
// another, or a zombie.
func (w *worker) stillThere(target *Sample) error {
	if err := w.readStat(target.PID); err != nil {
		return err
	}
	if w.read.stat.StartTicks != target.Start || exiting(&w.read.stat) && target.State != 'Z' && !target.Kernel {
		return procfs.ErrGone
	}
	return nil
}

// readStat reads the stat of a process into w.read.stat.
func (w *worker) readStat(pid int) error {
	text, err := w.reader.Read(pid, "stat")
	if err != nil {
		return err
	}
	return procfs.ParseStat(text, &w.read.stat)
}

// passDenied returns err unless it only says that a file is kept from us, or
// that this kernel does not have it: the word stays empty then.
func passDenied(err error) error {
	if errors.Is(err, procfs.ErrAccessDenied) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Fingerprints implements Source.
func (s *source) Fingerprints(ctx context.Context, snap *Snapshot, at []int, want IdentityFields, sums []uint64) {
	s.wereSums = append(s.wereSums[:0], sums...)
	clear(sums)
	for next := 0; next < len(at); {
		w := s.worker()
		if w == nil || ctx.Err() != nil {
			return
		}
		from := next
		finished := s.attempt(ctx, w, func(w *worker) { w.sums(snap, at, from, want, sums) })
		if next, _ = w.reached(); finished {
			return
		}
		next++ // the process there does not answer
	}
}

// sums adds up the words of the processes at[from:]. Those that are as they were
// are of the same process: nothing else has to be read to know.
func (w *worker) sums(snap *Snapshot, at []int, from int, want IdentityFields, sums []uint64) {
	w.begin(from)
	target := &w.read.prev
	for i := from; i < len(at) && !w.stop.Load(); i++ {
		sum, was := uint64(0), uint64(0)
		if !w.commit(i, func() { *target, was = snap.Samples[at[i]], w.src.wereSums[i] }) {
			return
		}
		w.comesTo(target.PID, target.inode)
		if !w.avoids(target.PID, 0) && w.readWords(target, want, nil) == nil {
			sum = w.sum()
		}
		if sum != 0 && sum != was && w.stillThere(target) != nil {
			sum = 0
		}
		if !w.commit(i+1, func() { sums[i] = sum }) {
			return
		}
	}
}

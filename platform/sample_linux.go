package platform

import (
	"errors"
	"hash/maphash"
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/procfs"
)

// The flags of /proc/PID/stat that tell what kind of process it is
// (linux/sched.h).
const (
	flagExiting    = 0x00000004 // on its way out, perhaps without memory already
	flagForkNoExec = 0x00000040 // forked, and has not called execve(2) since
	flagKernel     = 0x00200000 // a kernel thread
)

// maxWChans bounds the cache of the names of kernel functions.
const maxWChans = 2048

// scratch is what a worker reads into. It is reused for every process.
type scratch struct {
	stat   procfs.Stat
	status procfs.Status
	io     procfs.IO
	limits procfs.Limits
	limit  unix.Rlimit
	smaps  procfs.Smaps
	sched  procfs.Schedstat
	statm  procfs.Statm
	wary   procfs.Status
	vitals vitals

	sample Sample
	prev   Sample // what the walk before found, a copy: the snapshot is not ours while a read may hang
	tids   []int
	tasks  []Task
	wchans map[string]string // each name once, however many threads sleep there
	asked  int               // threads asked where they sleep, in this walk
	spent  time.Duration     // CPU time on smaps, in this walk
	gone   bool              // the process exited while it was read
	voice  int               // a thread that lives though the main thread has exited, or 0
	sameIO bool              // the process has fetched and sent no more than at the last walk
	noIO   bool              // it never has

	hasUser bool         // readWords found out whose process it is
	words   maphash.Hash // of the words that readWords has read
}

func newScratch(seed maphash.Seed) scratch {
	r := scratch{wchans: make(map[string]string)}
	r.words.SetSeed(seed)
	return r
}

// sample reads a process into w.read.sample: stat, and the parts that prev, its
// Sample of the walk before, wants. found is false if there is none to tell of.
// The inode is that of its directory when the processes were listed.
func (w *worker) sample(pid int, inode uint64, prev *Sample) (found bool, err error) {
	r := &w.read
	now := w.takePulse(pid, prev)
	if prev != nil && (prev.inode == 0 || prev.inode == inode) && w.unchanged(prev, &now) {
		w.remember(inode)
		return true, nil
	}
	var text []byte
	if err = w.reader.OpenProcess(pid); err == nil {
		defer w.reader.CloseProcess()
		text, err = w.reader.Read(pid, "stat")
	}
	switch {
	case err == nil && len(text) == 0: // exited between open and read
		return false, procfs.ErrGone
	case err == nil:
		err = procfs.ParseStat(text, &r.stat)
	case errors.Is(err, procfs.ErrGone):
		return false, err
	}
	if err != nil {
		if prev == nil {
			return false, err
		}
		r.sample = prev.unread()
		return true, err
	}
	if prev != nil && prev.inode != 0 || w.young(r.stat.StartTicks) {
		inode = w.reader.DirInode() // whoever was listed may be gone
	}
	serial := uint64(0)
	switch {
	case prev == nil:
	case prev.Start != r.stat.StartTicks: // the PID has gone to another process
		prev = nil
	case differs(prev.inode, inode): // likewise, within one tick
		serial, prev = prev.Serial+1, nil
	default:
		serial = prev.Serial
	}
	w.takeStat(prev)
	r.sample.Serial = serial
	w.remember(inode)
	r.sample.pulse = now
	w.takeVoice(&r.sample)
	w.parts(prev)
	if r.sample.pulse.pages == 0 {
		r.sample.pulse.pages = uint32(r.stat.ResidentPages)
	}
	w.settle(&r.sample, prev)
	return true, nil
}

// remember keeps the inode of a process of which PID and Start do not say enough
// yet. A directory whose inode the kernel has dropped meanwhile, for want of
// memory, makes of that one two; what it used in the first hundredth of a second
// counts twice then.
func (w *worker) remember(inode uint64) {
	s := &w.read.sample
	if s.inode = 0; w.young(s.Start) && inode > 1 {
		s.inode = inode
	}
}

// differs reports whether two inodes are those of two processes. 0 is unknown.
func differs(a, b uint64) bool { return a != 0 && b != 0 && a != b }

// young reports whether a process may have the PID and the start of another.
// Whoever gets a PID is born after who had it was read, and so not in the same
// tick, if the tick of that one was over when the walk began: one process in
// thousands is younger.
func (w *worker) young(start uint64) bool { return start >= w.now && w.src.mount.IsProcfs() }

// takeStat starts a new Sample with what stat says. prev is of the same process,
// or nil.
func (w *worker) takeStat(prev *Sample) {
	st, clock := &w.read.stat, &w.src.clock
	s := &w.read.sample
	*s = Sample{
		ID:            ID{PID: st.PID, Start: st.StartTicks},
		PPID:          st.PPID,
		Have:          FieldStat,
		State:         st.State,
		Kernel:        st.Flags&flagKernel != 0,
		ExecID:        execToken(st),
		UserNanos:     clock.Nanos(st.UserTicks),
		SystemNanos:   clock.Nanos(st.SystemTicks),
		MinorFaults:   st.MinorFaults,
		MajorFaults:   st.MajorFaults,
		Threads:       st.Threads,
		VirtualBytes:  st.VirtualBytes,
		ResidentBytes: st.ResidentPages * w.src.page,
	}
	last := ""
	if prev != nil {
		last, s.Want = prev.Comm, prev.Want
		if exiting(st) { // the addresses read as 0 now, but it is the same program
			s.ExecID = prev.ExecID
		}
	}
	s.Comm = reuse(last, st.Comm)
}

// execToken returns a number that changes when the process calls execve(2). The
// kernel lays out stack and arguments anew then, at random addresses, and
// clears a flag that fork sets. Without the right to trace the process the
// addresses read as 0, and the flag and the name must do.
func execToken(st *procfs.Stat) uint64 {
	const prime = 1099511628211
	token := uint64(14695981039346656037)
	for _, part := range [...]uint64{st.ArgStart, st.ArgEnd, st.StackStart, st.Flags & flagForkNoExec} {
		token = (token ^ part) * prime
	}
	return token
}

// exiting reports whether a process has given up its memory, or is about to.
func exiting(st *procfs.Stat) bool {
	return st.State == 'Z' || st.State == 'X' || st.Flags&flagExiting != 0
}

// reuse returns text as a string, without allocating where it still is last.
func reuse(last string, text []byte) string {
	if last == string(text) {
		return last
	}
	return string(text)
}

// parts reads what the Sample wants beside stat. Order matters: a thread that
// has not switched since its wchan was read still sleeps there, so switches are
// read before wchan.
func (w *worker) parts(prev *Sample) {
	s := &w.read.sample
	w.read.gone = false
	for _, part := range [...]struct {
		field Fields
		read  func(*worker, *Sample) error
	}{
		{FieldStatus, (*worker).status}, {FieldIO, (*worker).io}, {FieldFDs, (*worker).fds},
	} {
		if s.Want&part.field != 0 && !w.read.gone {
			w.judge(s, part.field, part.read(w, s))
		}
	}
	if w.read.gone {
		return
	}
	if s.Want&FieldSmaps != 0 {
		w.smapsInTurn(s, prev)
	}
	if s.Want&FieldFDLimit != 0 {
		w.judge(s, FieldFDLimit, w.fdLimit(s, prev))
	}
	if s.Want&FieldTasks != 0 {
		w.judge(s, s.Want&(FieldTasks|FieldTaskUsage), w.tasks(s, prev))
	}
	if s.Want&FieldWChan != 0 && len(s.Tasks) == 0 && !w.read.gone {
		w.judge(s, FieldWChan, w.leaderWChan(s, prev))
	}
}

// judge books the outcome of reading one part: there, lost, or gone with its
// process.
func (w *worker) judge(s *Sample, field Fields, err error) {
	if err == nil {
		s.Have |= field
		return
	}
	if (errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENOENT)) && !w.reader.Alive(s.PID) {
		w.read.gone = true // what was read before remains true
		return
	}
	s.Lost |= field
	if !errors.Is(err, procfs.ErrAccessDenied) {
		s.pulse.beat = 0 // an error that may pass: it is read again, asleep or not
	}
}

func (w *worker) status(s *Sample) error {
	text, err := w.reader.Read(s.PID, "status")
	if err != nil {
		return err
	}
	st, want := &w.read.status, ofProcess|procfs.StatusSwap
	if s.pulse.beat != 0 {
		want |= procfs.StatusResident
	}
	if err := procfs.ParseStatusFields(text, want, st); err != nil {
		return err
	}
	if st.Have&ofProcess != ofProcess {
		return errIncomplete
	}
	s.SwapBytes, s.EUID = st.SwapBytes, st.UIDs[1]
	s.VoluntarySwitches, s.NonvoluntarySwitches = st.VoluntarySwitches, st.NonvoluntarySwitches
	if s.pulse.pages == 0 && st.Have&procfs.StatusResident != 0 {
		// What statm will say if the process gets no more: Linux 6.18 adds up for
		// both what each CPU has counted, and for stat does not.
		s.pulse.pages = uint32(st.ResidentBytes / w.src.page)
	}
	return w.voiceSwap(s)
}

// errIncomplete says that a file lacks lines that every kernel writes. What they
// would have said is not known: it is not zero, and zero is root.
var errIncomplete = errors.New("lines are missing")

// ofProcess are the lines of status that the kernel writes for every process.
const ofProcess = procfs.StatusUIDs | procfs.StatusSwitches

// parseIO parses an io file of a process or thread into w.read.io.
func (w *worker) parseIO(text []byte) error {
	const lines = procfs.IOReadBytes | procfs.IOWriteBytes
	err := procfs.ParseIO(text, &w.read.io)
	if err == nil && w.read.io.Have&lines != lines {
		return errIncomplete
	}
	return err
}

func (w *worker) io(s *Sample) error {
	text, err := w.reader.Read(s.PID, "io")
	if err != nil {
		return err
	}
	if err := w.parseIO(text); err != nil {
		return err
	}
	s.ReadBytes, s.WriteBytes = w.read.io.ReadBytes, w.read.io.WriteBytes
	return nil
}

func (w *worker) fds(s *Sample) (err error) {
	switch {
	case s.State != 'Z':
		s.FDs, err = w.reader.CountFDs(s.PID)
	case s.Threads > 1:
		err = w.throughVoice(s.PID, func() (err error) { s.FDs, err = w.reader.CountFDs(s.PID); return err })
	}
	return err // a zombie has closed its files
}

// fdLimit asks the kernel directly where it may, which costs a twentieth of
// reading the file: of processes of our own user, or with CAP_SYS_RESOURCE.
// A limit seldom changes: it is asked for again in the first minute of a process,
// in which it may set its own, after execve, when half of it is used up, and else
// every refresh walks.
func (w *worker) fdLimit(s, prev *Sample) error {
	if s.State == 'Z' && !headless(s) {
		s.FDLimit = math.MaxUint64
		return nil
	}
	if prev != nil && prev.Have&FieldFDLimit != 0 && prev.limitSettled && prev.ExecID == s.ExecID && s.FDs < prev.FDLimit/2 && w.src.mount.IsProcfs() && !w.due(s.PID) {
		s.FDLimit, s.limitSettled = prev.FDLimit, true
		return nil
	}
	s.limitSettled = w.now >= s.Start+60*w.src.clock.TicksPerSecond()
	if w.src.mount.OwnPIDs() && unix.Prlimit(s.PID, unix.RLIMIT_NOFILE, nil, &w.read.limit) == nil {
		if !w.reader.Alive(s.PID) { // its PID may have gone to another before
			return unix.ESRCH
		}
		s.FDLimit = w.read.limit.Cur
		return nil
	}
	text, err := w.reader.Read(s.PID, "limits")
	if err != nil {
		return err
	}
	if err := procfs.ParseLimits(text, &w.read.limits); err != nil {
		return err
	}
	if w.read.limits.Have&procfs.LimitOpenFiles == 0 {
		return errIncomplete
	}
	s.FDLimit = w.read.limits.OpenFiles.Soft
	return nil
}

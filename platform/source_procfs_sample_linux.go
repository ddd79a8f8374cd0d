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

// Flags of /proc/PID/stat (linux/sched.h).
const (
	flagExiting    = 0x00000004 // PF_EXITING: may have released its memory
	flagForkNoExec = 0x00000040 // PF_FORKNOEXEC: forked and has not called execve(2) since
	flagKernel     = 0x00200000 // PF_KTHREAD: kernel thread
)

// maxWChans limits the cache of the names of kernel functions.
const maxWChans = 2048

// scratch is the memory into which a worker reads. It is reused for every process.
type scratch struct {
	stat        procfs.Stat
	status      procfs.Status
	io          procfs.IO
	limits      procfs.Limits
	limit       unix.Rlimit
	smaps       procfs.Smaps
	sched       procfs.Schedstat
	statm       procfs.Statm
	checkStatus procfs.Status // of mayBlock
	nonBlocking nonBlockingStats

	sample  procfsSample
	prev    procfsSample // of the last walk; a copy, because an abandoned worker may not use the Snapshot
	tids    []int
	tasks   []Task
	threads []threadState     // parallel to tasks
	wchans  map[string]string // interned names of kernel functions

	wchanReads int           // reads of wchan in this walk
	smapsTime  time.Duration // CPU time spent on smaps in this walk
	gone       bool          // the process exited while it was read
	liveThread int           // live thread of a process with a zombie main thread, or 0
	sameIO     bool          // the I/O counters of the process are those of the last walk
	noIO       bool          // the I/O counters of the process are 0

	hasUser  bool         // the owner of the process was read
	identity maphash.Hash // of the identity that was read
}

func newScratch(seed maphash.Seed) scratch {
	r := scratch{wchans: make(map[string]string)}
	r.identity.SetSeed(seed)
	return r
}

// sample reads a process into w.scratch.sample: stat, and the fields in Want of prev, its
// Sample of the last walk or nil. found is false if the process has no Sample. inode is
// that of the directory of the process when the processes were listed.
func (w *worker) sample(pid int, inode uint64, prev *procfsSample) (found bool, err error) {
	r := &w.scratch
	now := w.readActivity(pid, prev)
	if prev != nil && (prev.state.inode == 0 || prev.state.inode == inode) && w.unchanged(prev, &now) {
		w.storeInode(inode)
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
		r.sample.Sample, r.sample.state = prev.unread(), prev.state
		r.sample.state.activity, r.sample.state.threads = activity{}, nil
		return true, err
	}
	if prev != nil && prev.state.inode != 0 || w.needsInode(r.stat.StartTicks) {
		inode = w.reader.DirInode() // the listed process may have exited
	}
	serial := uint64(0)
	switch {
	case prev == nil:
	case prev.Start != r.stat.StartTicks: // another process with the same PID
		prev = nil
	case inodesDiffer(prev.state.inode, inode): // another process with the same PID and start time
		serial, prev = prev.Serial+1, nil
	default:
		serial = prev.Serial
	}
	w.setFromStat(prev)
	r.sample.Serial = serial
	w.storeInode(inode)
	r.sample.state.activity = now
	w.readLiveThreadMemory(&r.sample.Sample)
	w.readFields(prev)
	if r.sample.state.activity.residentPages == 0 {
		r.sample.state.activity.residentPages = uint32(r.stat.ResidentPages)
	}
	w.updateActivity(&r.sample, prev)
	r.sample.Idle = w.slept(&r.sample, prev)
	return true, nil
}

// storeInode stores the inode of a process whose PID and start time do not identify it
// yet. Under memory pressure the kernel can drop the inode of the directory and create another
// one. The process then counts as a new one, and its usage in its first clock tick counts twice.
func (w *worker) storeInode(inode uint64) {
	s := &w.scratch.sample
	if s.state.inode = 0; w.needsInode(s.Start) && inode > 1 {
		s.state.inode = inode
	}
}

// inodesDiffer reports whether two inodes belong to different processes. 0 is unknown.
func inodesDiffer(a, b uint64) bool { return a != 0 && b != 0 && a != b }

// needsInode reports whether a later process may have the same PID and start time. This is
// possible only if this process started in the clock tick in which the walk began, or later: one
// process in thousands.
func (w *worker) needsInode(start uint64) bool { return start >= w.walkStart && w.src.mount.IsProcfs() }

// setFromStat starts a new Sample with the values of stat. prev is a Sample of the same
// process, or nil.
func (w *worker) setFromStat(prev *procfsSample) {
	st, clock := &w.scratch.stat, &w.src.clock
	s := &w.scratch.sample
	s.state = processState{}
	s.Sample = Sample{
		ID:            ID{PID: st.PID, Start: st.StartTicks},
		PPID:          st.PPID,
		Have:          FieldStat,
		State:         st.State,
		KernelThread:  st.Flags&flagKernel != 0,
		ExecID:        execID(st),
		UserNanos:     clock.Nanos(st.UserTicks),
		SystemNanos:   clock.Nanos(st.SystemTicks),
		MinorFaults:   st.MinorFaults,
		MajorFaults:   st.MajorFaults,
		NumThreads:    st.Threads,
		VirtualBytes:  st.VirtualBytes,
		ResidentBytes: st.ResidentPages * w.src.pageSize,
	}
	last := ""
	if prev != nil {
		last, s.Want = prev.Comm, prev.Want
		if exiting(st) { // the addresses are 0 now, but the program is the same
			s.ExecID = prev.ExecID
		}
	}
	s.Comm = reuseString(last, st.Comm)
}

// execID returns a hash that changes when the process calls execve(2): the kernel then
// places stack and arguments at new random addresses, and clears PF_FORKNOEXEC. Without
// permission to trace the process the addresses are 0, and only the flag can change the hash,
// at the first call.
func execID(st *procfs.Stat) uint64 {
	const prime = 1099511628211 // FNV-1a
	hash := uint64(14695981039346656037)
	for _, value := range [...]uint64{st.ArgStart, st.ArgEnd, st.StackStart, st.Flags & flagForkNoExec} {
		hash = (hash ^ value) * prime
	}
	return hash
}

// exiting reports whether a process has released its memory, or is about to.
func exiting(st *procfs.Stat) bool {
	return st.State == 'Z' || st.State == 'X' || st.Flags&flagExiting != 0
}

// reuseString returns text as a string. It returns last without an allocation if equal.
func reuseString(last string, text []byte) string {
	if last == string(text) {
		return last
	}
	return string(text)
}

// readFields reads the wanted fields other than stat. Context switches are read before
// wchan: a thread that has not switched since wchan was read still sleeps there.
func (w *worker) readFields(prev *procfsSample) {
	s := &w.scratch.sample
	w.scratch.gone = false
	for _, f := range [...]struct {
		field Fields
		read  func(*worker, *procfsSample) error
	}{
		{FieldStatus, (*worker).readStatus}, {FieldIO, (*worker).readIO}, {FieldFDs, (*worker).readFDs},
	} {
		if s.Want&f.field != 0 && !w.scratch.gone {
			w.setResult(s, f.field, f.read(w, s))
		}
	}
	if w.scratch.gone {
		return
	}
	if s.Want&FieldSmaps != 0 {
		w.updateSmaps(s, prev)
	}
	if s.Want&FieldFDLimit != 0 {
		w.setResult(s, FieldFDLimit, w.readFDLimit(s, prev))
	}
	if s.Want&FieldTasks != 0 {
		w.setResult(s, s.Want&(FieldTasks|FieldTaskUsage), w.readTasks(s, prev))
	}
	if s.Want&FieldWChan != 0 && len(s.Tasks) == 0 && !w.scratch.gone {
		w.setResult(s, FieldWChan, w.readMainThreadWChan(&s.Sample, prev))
	}
}

// setResult records the result of reading one field in Have or Unreadable. If the process has
// exited it sets w.scratch.gone.
func (w *worker) setResult(s *procfsSample, field Fields, err error) {
	if err == nil {
		s.Have |= field
		return
	}
	if (errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENOENT)) && !w.reader.Exists(s.PID) {
		w.scratch.gone = true // values that were read before remain valid
		return
	}
	s.Unreadable |= field
	if !errors.Is(err, procfs.ErrAccessDenied) {
		s.state.activity.marker = 0 // the error may be temporary: read again even if idle
	}
}

func (w *worker) readStatus(s *procfsSample) error {
	text, err := w.reader.Read(s.PID, "status")
	if err != nil {
		return err
	}
	st := &w.scratch.status
	if err := procfs.ParseStatusFields(text, requiredStatus|procfs.StatusSwap|procfs.StatusResident, st); err != nil {
		return err
	}
	if st.Have&requiredStatus != requiredStatus {
		return errIncomplete
	}
	s.SwapBytes, s.EUID = st.SwapBytes, st.UIDs[1]
	s.VoluntarySwitches, s.NonvoluntarySwitches = st.VoluntarySwitches, st.NonvoluntarySwitches
	if st.Have&procfs.StatusResident != 0 { // not a kernel thread or zombie
		// Since Linux 6.2 stat leaves out the part of the counters that each CPU has. Since
		// Linux 6.16 status includes it.
		s.ResidentBytes = st.ResidentBytes
		if s.state.activity.residentPages == 0 { // the next statm has this value if the memory does not change
			s.state.activity.residentPages = uint32(st.ResidentBytes / w.src.pageSize)
		}
	}
	return w.readLiveThreadStatus(&s.Sample)
}

// errIncomplete is the error of a file that lacks lines that every kernel writes. Their
// values are unknown, not 0: user ID 0 would be root.
var errIncomplete = errors.New("required lines are missing")

// requiredStatus are the lines of status that the kernel writes for every process.
const requiredStatus = procfs.StatusUIDs | procfs.StatusSwitches

// parseIO parses the io file of a process or thread into w.scratch.io.
func (w *worker) parseIO(text []byte) error {
	const lines = procfs.IOReadBytes | procfs.IOWriteBytes
	err := procfs.ParseIO(text, &w.scratch.io)
	if err == nil && w.scratch.io.Have&lines != lines {
		return errIncomplete
	}
	return err
}

func (w *worker) readIO(s *procfsSample) error {
	text, err := w.reader.Read(s.PID, "io")
	if err != nil {
		return err
	}
	if err := w.parseIO(text); err != nil {
		return err
	}
	s.ReadBytes, s.WriteBytes = w.scratch.io.ReadBytes, w.scratch.io.WriteBytes
	return nil
}

func (w *worker) readFDs(s *procfsSample) (err error) {
	switch {
	case s.State != 'Z':
		s.FDs, err = w.reader.CountFDs(s.PID)
	case s.NumThreads > 1:
		err = w.viaLiveThread(s.PID, func() (err error) { s.FDs, err = w.reader.CountFDs(s.PID); return err })
	}
	return err // a zombie has closed its files
}

// youngSeconds is the age in seconds below which a process may still set its own limits.
const youngSeconds = 60

// readFDLimit reads the limit with prlimit(2) if permitted, at a twentieth of the cost of
// the file: for processes of the same user, or with CAP_SYS_RESOURCE. A limit rarely
// changes. It is read again while the process is young, after execve, if half of it is in
// use, and else every refreshInterval walks.
func (w *worker) readFDLimit(s, prev *procfsSample) error {
	if s.State == 'Z' && !zombieMainThread(&s.Sample) {
		s.FDLimit = math.MaxUint64
		return nil
	}
	if prev != nil && prev.Have&FieldFDLimit != 0 && prev.state.fdLimitFinal && prev.ExecID == s.ExecID &&
		s.FDs < prev.FDLimit/2 && w.src.mount.IsProcfs() && !w.refreshDue(s.PID) {
		s.FDLimit, s.state.fdLimitFinal = prev.FDLimit, true
		return nil
	}
	s.state.fdLimitFinal = w.walkStart >= s.Start+youngSeconds*w.src.clock.TicksPerSecond()
	if w.src.mount.InOwnPIDNamespace() && unix.Prlimit(s.PID, unix.RLIMIT_NOFILE, nil, &w.scratch.limit) == nil {
		if !w.reader.Exists(s.PID) { // another process may have the PID already
			return unix.ESRCH
		}
		s.FDLimit = w.scratch.limit.Cur
		return nil
	}
	text, err := w.reader.Read(s.PID, "limits")
	if err != nil {
		return err
	}
	if err := procfs.ParseLimits(text, &w.scratch.limits); err != nil {
		return err
	}
	if w.scratch.limits.Have&procfs.LimitOpenFiles == 0 {
		return errIncomplete
	}
	s.FDLimit = w.scratch.limits.OpenFiles.Soft
	return nil
}

package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A fakeHandle is a handle with files and errors that a test sets. A method that it
// does not implement panics.
type fakeHandle struct {
	handle
	files   map[string]string
	errs    map[string]error // by file or operation
	fds     []int
	isGone  bool
	absent  int // how many calls find no process although it exists, as during execve(2)
	signals []syscall.Signal
}

func (f *fakeHandle) read(_ []byte, file string) ([]byte, error) {
	if err := f.errs[file]; err != nil {
		return nil, err
	}
	text, ok := f.files[file]
	if !ok {
		return nil, syscall.ENOENT
	}
	return []byte(text), nil
}

func (f *fakeHandle) readAll(buf []byte, file string) ([]byte, error)   { return f.read(buf, file) }
func (f *fakeHandle) readStart(buf []byte, file string) ([]byte, error) { return f.read(buf, file) }
func (f *fakeHandle) link(buf []byte, file string) ([]byte, error)      { return f.read(buf, file) }
func (f *fakeHandle) stat(file string) (fileID, error)                  { return fileID{regular: true}, f.errs[file] }
func (f *fakeHandle) gone() bool                                        { return f.isGone }
func (f *fakeHandle) setNice(int) error                                 { return f.errs["setNice"] }
func (f *fakeHandle) limit(Resource) (Limit, error)                     { return Limit{}, f.errs["limit"] }
func (f *fakeHandle) signal(s syscall.Signal) error {
	f.signals = append(f.signals, s)
	return f.errs["signal"]
}

func (f *fakeHandle) numbers([]byte, string) ([]int, error) {
	if f.absent > 0 {
		f.absent--
		return nil, nil
	}
	return f.fds, f.errs["list"]
}

func (f *fakeHandle) serial() (uint64, error) {
	if f.absent > 0 {
		f.absent--
		return 0, syscall.ESRCH
	}
	return 9, f.errs["serial"]
}

const fakeStat = "7 (fake) %s 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n"

func fakeProcess(state string) (*Process, *fakeHandle) {
	f := &fakeHandle{files: map[string]string{"stat": fmt.Sprintf(fakeStat, state)}, errs: make(map[string]error)}
	return &Process{shared: &shared{table: newTable(nil), id: ID{PID: 7, Start: 5}, name: "fake", handle: f}}, f
}

func TestSystemCallErrors(t *testing.T) {
	tests := []struct {
		name  string
		state string
		errno syscall.Errno
		gone  bool
		want  error
		not   error
	}{
		{"EPERM", "S", syscall.EPERM, false, ErrAccessDenied, ErrGone},
		{"EACCES", "S", syscall.EACCES, false, ErrAccessDenied, ErrGone},
		{"ESRCH, process gone", "S", syscall.ESRCH, true, ErrGone, ErrZombie},
		{"ENOENT, process gone", "S", syscall.ENOENT, true, ErrGone, ErrZombie},
		{"ESRCH, zombie", "Z", syscall.ESRCH, false, ErrZombie, ErrAccessDenied},
		{"ENOENT, zombie", "Z", syscall.ENOENT, false, ErrGone, ErrAccessDenied},
		{"ENOENT, process alive", "S", syscall.ENOENT, false, ErrUnsupported, ErrGone},
		{"other error", "S", syscall.EIO, false, syscall.EIO, ErrGone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, f := fakeProcess(tt.state)
			f.isGone = tt.gone
			f.errs["io"], f.errs["signal"], f.errs["setNice"] = tt.errno, tt.errno, tt.errno
			_, err := p.IOCounters()
			errs := map[string]error{"io counters": err, "kill": p.Kill(), "send signal": p.SendSignal(syscall.SIGHUP)}
			if !tt.gone {
				errs["set nice"] = p.SetNice(1)
			}
			for op, err := range errs {
				var pe *Error
				if !errors.Is(err, tt.want) || errors.Is(err, tt.not) || !errors.As(err, &pe) {
					t.Fatalf("got error %v, want one that matches %v and not %v", err, tt.want, tt.not)
				}
				if pe.PID != 7 || pe.Name != "fake" || pe.Op != op || !errors.Is(err, tt.errno) {
					t.Errorf("got %+v, want process 7, name fake, operation %s", pe, op)
				}
			}
		})
	}
}

func TestOpenFilesSkipsClosed(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOENT, syscall.ESRCH, syscall.EINVAL, syscall.ENAMETOOLONG} {
		p, f := fakeProcess("S")
		f.fds = []int{3, 4}
		f.files["fd/4"], f.files["fdinfo/4"] = "/a", "pos:\t9\nflags:\t0100002\n"
		f.errs["fd/3"] = errno
		files, err := p.OpenFiles()
		if err != nil || len(files) != 1 || files[0] != (OpenFile{Path: "/a", FD: 4, Position: 9, Mode: "r+", Flags: 0100002}) {
			t.Errorf("%v: got %+v, error %v, want only descriptor 4", errno, files, err)
		}
		f.errs["fdinfo/4"] = syscall.EACCES
		if _, err := p.OpenFiles(); !errors.Is(err, ErrAccessDenied) {
			t.Errorf("got error %v, want ErrAccessDenied", err)
		}
	}
}

func TestThreadsSkipsExited(t *testing.T) {
	p, f := fakeProcess("S")
	f.fds = []int{7, 8}
	f.files["task/7/stat"] = fmt.Sprintf(fakeStat, "S")
	if got, err := p.NumThreads(); err != nil || got != 1 {
		t.Errorf("got %d threads, error %v, want 1", got, err)
	}
	f.errs["task/8/stat"] = syscall.EACCES
	err := p.eachThread("threads", "stat", func(int, []byte) error { return nil })
	if !errors.Is(err, ErrAccessDenied) {
		t.Errorf("got error %v, want ErrAccessDenied", err)
	}
	read := 0
	f.errs["task/8/stat"] = syscall.ESRCH
	err = p.eachThread("threads", "stat", func(int, []byte) error { read++; return nil })
	if err != nil || read != 1 {
		t.Errorf("got %d threads, error %v, want one", read, err)
	}
}

// TestExecveOfOtherThread simulates calls that find no process, or no thread, during an
// execve(2) by another thread than the main one.
func TestExecveOfOtherThread(t *testing.T) {
	p, f := fakeProcess("S")
	f.absent = 2
	if err := p.readID("open"); err != nil || p.ID().PidfdInode != 9 {
		t.Errorf("got %+v, error %v, want inode 9", p.ID(), err)
	}
	f.absent, f.isGone = 2, true
	if err := p.readID("open"); !errors.Is(err, ErrGone) || f.absent != 1 {
		t.Errorf("got error %v with %d calls left, want ErrGone after one call", err, f.absent)
	}
	f.isGone = false
	f.absent, f.fds, f.files["task/7/stat"] = 2, []int{7}, fmt.Sprintf(fakeStat, "S")
	read := 0
	if err := p.eachThread("threads", "stat", func(int, []byte) error { read++; return nil }); err != nil || read != 1 {
		t.Errorf("got %d threads, error %v, want one", read, err)
	}
}

func TestRlimitFromFile(t *testing.T) {
	p, f := fakeProcess("S")
	f.errs["limit"] = syscall.EPERM
	f.files["limits"] = "Max open files            1024                 unlimited            files     \n"
	got, err := p.Rlimit(ResourceNoFile)
	if err != nil || got != (Limit{Soft: 1024, Hard: Unlimited}) {
		t.Errorf("got %+v, error %v, want 1024 and unlimited", got, err)
	}
	if _, err := p.Rlimit(ResourceCPU); !errors.Is(err, ErrUnsupported) {
		t.Errorf("got error %v for a missing limit, want ErrUnsupported", err)
	}
}

// TestRlimitOfZombie simulates kernels whose prlimit(2) fails for a zombie.
func TestRlimitOfZombie(t *testing.T) {
	p, f := fakeProcess("Z")
	f.errs["limit"] = syscall.ENOSYS
	if _, err := p.Rlimit(ResourceNoFile); !errors.Is(err, ErrZombie) {
		t.Errorf("got error %v, want ErrZombie", err)
	}
	f.files["limits"] = "Max open files            7                    9                    files     \n"
	if got, err := p.Rlimit(ResourceNoFile); err != nil || got != (Limit{Soft: 7, Hard: 9}) {
		t.Errorf("got %+v, error %v, want the values of the file", got, err)
	}
}

func TestOneshotReadsOnce(t *testing.T) {
	p, f := fakeProcess("S")
	view := p.Oneshot()
	if view.Oneshot() != view {
		t.Error("got another view of a view, want the same")
	}
	for range 2 {
		if ppid, err := view.PPID(); err != nil || ppid != 1 {
			t.Errorf("got parent %d, error %v, want 1", ppid, err)
		}
		f.files["stat"] = strings.Replace(f.files["stat"], "S 1 ", "S 2 ", 1)
	}
	if ppid, err := p.PPID(); err != nil || ppid != 2 {
		t.Errorf("got parent %d, error %v without the view, want 2", ppid, err)
	}
}

func TestAsMap(t *testing.T) {
	p, f := fakeProcess("S")
	f.errs["io"] = syscall.EACCES
	all, err := p.AsMap("denied", "ppid", "io_counters")
	if err != nil || all["ppid"] != 1 || all["io_counters"] != "denied" || len(all) != 2 {
		t.Errorf("got %v, error %v, want ppid 1 and io_counters denied", all, err)
	}
	if _, err := p.AsMap(nil, "num_handles"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("unsupported: got error %v, want ErrUnsupported", err)
	}
	if _, err := p.AsMap(nil, "nonsense"); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown: got error %v, want ErrInvalid", err)
	}
	f.isGone, f.errs["stat"] = true, syscall.ESRCH
	if _, err := p.AsMap("denied", "ppid"); !errors.Is(err, ErrGone) {
		t.Errorf("gone: got error %v, want ErrGone", err)
	}
}

func TestUnsupportedSystem(t *testing.T) {
	if runtime.GOOS == "linux" {
		if _, err := OpenTable(t.TempDir()); err == nil {
			t.Error("got a table of an empty directory, want an error")
		}
		return
	}
	_, err1 := Open(os.Getpid())
	_, err2 := PIDs()
	_, err3 := Exists(1)
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("got error %v, want ErrUnsupported", err)
		}
	}
	for p, err := range All() {
		if p != nil || !errors.Is(err, ErrUnsupported) {
			t.Errorf("got %v, error %v, want ErrUnsupported", p, err)
		}
	}
}

// TestEmptyEnviron reads an empty environment. On some kernels that of a zombie is empty and
// on others its read fails.
func TestEmptyEnviron(t *testing.T) {
	for _, state := range []string{"S", "Z"} {
		p, f := fakeProcess(state)
		f.files["environ"] = ""
		got, err := p.Environ()
		if zombie := state == "Z"; errors.Is(err, ErrZombie) != zombie || zombie == (err == nil) || len(got) > 0 {
			t.Errorf("state %s: got %v, error %v, want no variables, and ErrZombie of a zombie", state, got, err)
		}
	}
}

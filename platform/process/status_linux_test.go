package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

func TestZombie(t *testing.T) {
	p := startZombie(t)
	wantEqual(t, "running", p.Running(), true)
	wantEqual(t, "exists", must[bool](t)(Exists(p.PID())), true)
	wantEqual(t, "name", must[string](t)(p.Name()), "edgecase")
	wantEqual(t, "ppid", must[int](t)(p.PPID()), os.Getpid())
	wantEqual(t, "threads", must[int](t)(p.NumThreads()), 1)
	wantEqual(t, "fds", must[int](t)(p.NumFDs()), 0)
	wantEqual(t, "memory", must[MemoryInfo](t)(p.MemoryInfo()), MemoryInfo{})
	for name, method := range map[string]func() error{
		"exe":         func() error { _, err := p.Exe(); return err },
		"cwd":         func() error { _, err := p.Cwd(); return err },
		"cmdline":     func() error { _, err := p.Cmdline(); return err },
		"environ":     func() error { _, err := p.Environ(); return err },
		"memory maps": func() error { _, err := p.MemoryMaps(); return err },
	} {
		err := method()
		allowed := os.Geteuid() != 0 && errors.Is(err, ErrAccessDenied) // the files of a zombie belong to root
		if !allowed && (!errors.Is(err, ErrZombie) || !errors.Is(err, ErrGone)) {
			t.Errorf("%s: got error %v, want one that matches ErrZombie and ErrGone", name, err)
		}
		var pe *Error
		if !errors.As(err, &pe) || pe.PID != p.PID() || pe.Name != "edgecase" || pe.Op != name {
			t.Errorf("%s: got %+v, want an Error of the operation", name, pe)
		}
	}
	if err := p.SendSignal(syscall.Signal(0)); err != nil {
		t.Errorf("signal to a zombie: got error %v, want none", err)
	}
	all := must[map[Attr]any](t)(p.AsMap("denied", "cmdline", "status", "pid"))
	if len(all) != 3 || all["cmdline"] != "denied" || all["status"] != StatusZombie || all["pid"] != p.PID() {
		t.Errorf("got %v, want cmdline denied", all)
	}
}

// TestZombieMainThread starts a child whose main thread exits while others run.
func TestZombieMainThread(t *testing.T) {
	p := startChild(t, nil, "exitmain")
	testenv.Eventually(t, func() bool { return statusOf(t, p.Process) == StatusZombie })
	if n := must[int](t)(p.NumThreads()); n < 2 {
		t.Errorf("got %d threads, want those that live", n)
	}
	wantEqual(t, "running", p.Running(), true)
	p.Kill()
	p.Cmd.Wait()
	wantEqual(t, "running after the end", p.Running(), false)
}

func TestStopped(t *testing.T) {
	p := startChild(t, nil)
	if err := p.Suspend(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool { return statusOf(t, p.Process) == StatusStopped })
	if _, err := p.Wait(ended()); !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
		t.Errorf("stopped process: got error %v, want context.Canceled without ErrTimeout", err)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool { return statusOf(t, p.Process) == StatusSleeping })
}

// ended returns a canceled context.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestTraced(t *testing.T) {
	runtime.LockOSThread() // ptrace(2) identifies the tracer by its thread
	defer runtime.UnlockOSThread()
	o := startChild(t, nil)
	if err := unix.PtraceSeize(o.PID()); err != nil {
		t.Skipf("requires ptrace of a child: %v", err)
	}
	if err := unix.PtraceInterrupt(o.PID()); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool { return statusOf(t, o.Process) == StatusTracingStop })
	if err := unix.PtraceDetach(o.PID()); err != nil {
		t.Fatal(err)
	}
}

func TestStatusString(t *testing.T) {
	for letter, want := range map[byte]string{
		'R': "running", 'S': "sleeping", 'D': "disk-sleep", 'T': "stopped", 't': "tracing-stop", 'Z': "zombie", 'X': "dead",
		'x': "dead", 'K': "wake-kill", 'W': "waking", 'I': "idle", 'P': "parked", '!': "?",
	} {
		wantEqual(t, string(letter), Status(letter).String(), want)
	}
}

func TestTerminals(t *testing.T) {
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("requires pseudo terminals: %v", err)
	}
	defer ptmx.Close()
	number := must[int](t)(unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN))
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	path := "/dev/pts/" + strconv.Itoa(number)
	pts, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("requires pseudo terminals: %v", err)
	}
	defer pts.Close()
	with := startChild(t, func(c *exec.Cmd) {
		c.ExtraFiles = []*os.File{pts}
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	})
	wantEqual(t, "terminal", must[string](t)(with.Terminal()), path)
	without := startChild(t, func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} })
	wantEqual(t, "no terminal", must[string](t)(without.Terminal()), "")
}

// TestCreateTime compares with the wall clock and with ps. The boot time of the kernel
// and the output of ps are in whole seconds.
func TestCreateTime(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	t.Setenv("TZ", "UTC")
	before := time.Now()
	p := startChild(t, nil)
	after := time.Now()
	created := must[time.Time](t)(p.CreateTime())
	const tolerance = 2 * time.Second
	if created.Before(before.Add(-tolerance)) || created.After(after.Add(tolerance)) {
		t.Errorf("got %v, want a time between %v and %v", created, before, after)
	}
	psTime := must[time.Time](t)(time.Parse(time.ANSIC, testenv.Output(t, "ps", "-o", "lstart=", "-p", strconv.Itoa(p.PID()))))
	if created.Sub(psTime).Abs() > tolerance {
		t.Errorf("got %v, want %v as in ps", created, psTime)
	}
	own := openProcess(t, os.Getpid())
	if self := must[time.Time](t)(own.CreateTime()); !self.Before(created) {
		t.Errorf("got %v of a child, want a time after %v of its parent", created, self)
	}
}

func TestUsage(t *testing.T) {
	path := t.TempDir() + "/file"
	p := startChild(t, nil, "busy", "write="+path)
	times := must[CPUTimes](t)(p.CPUTimes())
	if times.User+times.System < 180e6 {
		t.Errorf("got %+v, want 0.2 s", times)
	}
	io, err := p.IOCounters()
	if err != nil {
		t.Fatal(err)
	}
	if io.WriteChars < 1<<20 || io.WriteCount == 0 || io.ReadCount == 0 {
		t.Errorf("got %+v, want 1 MiB written", io)
	}
	before := must[CPUTimes](t)(openProcess(t, os.Getpid()).CPUTimes())
	p.End()
	after := must[CPUTimes](t)(openProcess(t, os.Getpid()).CPUTimes())
	if after.ChildrenUser+after.ChildrenSystem < before.ChildrenUser+before.ChildrenSystem+180e6 {
		t.Errorf("got %+v, want 0.2 s of children more than %+v", after, before)
	}
}

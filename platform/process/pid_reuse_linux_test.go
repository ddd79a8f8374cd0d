package process

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/platform/internal/host"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// everyMethod returns a call of each method that can fail, by name.
func everyMethod(p *Process) map[string]func() error {
	calls := map[string]func() error{
		"raw command line": func() error { _, err := p.CmdlineRaw(); return err },
		"cpu percent over": func() error { _, err := p.CPUPercentOver(context.Background(), time.Millisecond); return err },
		"descendants":      func() error { _, err := p.Descendants(); return err },
		"uss in percent":   func() error { _, err := p.MemoryPercent(MemoryUSS); return err },
		"map":              func() error { _, err := p.AsMap(nil); return err },
		"oneshot":          func() error { _, err := p.Oneshot().Name(); return err },
		"set nice":         func() error { return p.SetNice(3) },
		"set ionice":       func() error { return p.SetIONice(IOPriority{IOClassIdle, 0}) },
		"set affinity":     func() error { return p.SetCPUAffinity(0) },
		"set rlimit":       func() error { return p.SetRlimit(ResourceCore, Limit{}) },
		"suspend":          p.Suspend,
		"resume":           p.Resume,
		"terminate":        p.Terminate,
		"kill":             p.Kill,
		"signal 0":         func() error { return p.SendSignal(syscall.Signal(0)) },
		"signal by PID":    func() error { return p.shared.handle.(*linuxHandle).signalByPIDError() },
	}
	for _, name := range Attrs() {
		switch name {
		case AttrPID, AttrIsRunning: // these never fail
		default:
			calls[string(name)] = func() error { _, err := p.Attr(name); return err }
		}
	}
	return calls
}

// signalByPIDError sends signal 0 without the open directory.
func (h *linuxHandle) signalByPIDError() error {
	if errno := h.signalByPID(0); errno != 0 {
		return (&Process{shared: &shared{handle: h}}).wrap("signal", errno)
	}
	return nil
}

func TestEveryMethodAfterExit(t *testing.T) {
	p := startChild(t, nil)
	p.End()
	wantGone(t, p.Process)
}

func wantGone(t *testing.T, p *Process) {
	t.Helper()
	wantAllGone(t, p)
	if status, err := p.Wait(context.Background()); err != nil || status.Known {
		t.Errorf("wait: got %v, error %v, want an unknown status", status, err)
	}
}

// wantAllGone checks that every method of a reaped process fails with ErrGone.
func wantAllGone(t *testing.T, p *Process) {
	t.Helper()
	for name, call := range everyMethod(p) {
		if err := call(); !errors.Is(err, ErrGone) || errors.Is(err, ErrZombie) {
			t.Errorf("%s: got error %v, want ErrGone", name, err)
		}
	}
	wantEqual(t, "running", p.Running(), false)
}

// TestReusedPID reuses the PID of a reaped process. Every method of the old Process
// fails, and none affects the new process.
func TestReusedPID(t *testing.T) {
	testenv.RequireRoot(t)
	old := startChild(t, nil)
	pid := old.PID()
	old.End()
	// Before Linux 6.9 processes that start in one clock tick have the same ID.
	testenv.Eventually(t, func() bool {
		return uint64(host.GetTime(unix.CLOCK_BOOTTIME).Seconds()*float64(host.TicksPerSecond())) > old.ID().Start+1
	})
	testenv.StartWithPID(t, pid)
	other := openProcess(t, pid)
	wantGone(t, old.Process)

	if other.Equal(old.Process) || other.PID() != pid || other.ID() == old.ID() {
		t.Errorf("got %+v and %+v, want one PID and two IDs", other.ID(), old.ID())
	}
	status := statusOf(t, other)
	if status != StatusSleeping && status != StatusRunning {
		t.Errorf("got status %v of the new process, want sleeping or running", status)
	}
	wantEqual(t, "nice of the new process", must[int](t)(other.Nice()), 0)
	if got := must[IOPriority](t)(other.IONice()); got.Class == IOClassIdle {
		t.Errorf("got I/O priority %v of the new process, want another class than idle", got)
	}
	fresh := openProcess(t, os.Getpid())
	if got, want := len(must[[]int](t)(other.CPUAffinity())), len(must[[]int](t)(fresh.CPUAffinity())); got != want {
		t.Errorf("got %d CPUs of the new process, want %d", got, want)
	}
	wantEqual(t, "limit", must[Limit](t)(other.Rlimit(ResourceCore)), must[Limit](t)(fresh.Rlimit(ResourceCore)))
}

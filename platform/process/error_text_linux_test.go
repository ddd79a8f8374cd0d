package process

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestErrorNamesProcess compares the name in errors with the name of the process when
// they occur.
func TestErrorNamesProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a-name-longer-than-15-bytes")
	testenv.CopyEdgeCase(t, path)
	p := startChild(t, func(c *exec.Cmd) { c.Path, c.Args[0] = path, path })
	failed := func(p *Process) string {
		err := p.SetCPUAffinity(-1)
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("got error %v, want an Error", err)
		}
		return e.Name
	}
	wantEqual(t, "long name", failed(p.Process), filepath.Base(path))
	wantEqual(t, "string", p.String(), (&Error{PID: p.PID()}).processText(filepath.Base(path)))
	p.End()
	wantEqual(t, "name of an exited process", failed(p.Process), filepath.Base(path))

	cmd := exec.Command("sh", "-c", "read line; exec sleep 1000")
	stdin := must[interface{ Close() error }](t)(cmd.StdinPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	q := openProcess(t, cmd.Process.Pid)
	testenv.Eventually(t, func() bool { return failed(q) == "sh" })
	_ = stdin.Close()
	testenv.Eventually(t, func() bool { return failed(q) == "sleep" })
}

// processText returns the text of a Process with another name.
func (e *Error) processText(name string) string {
	return (&Process{shared: &shared{id: ID{PID: e.PID}, name: name}}).String()
}

// TestInvalidArgumentReason checks that the error of an invalid argument states its
// value.
func TestInvalidArgumentReason(t *testing.T) {
	p := startChild(t, nil)
	_, rlimitErr := p.Rlimit(99)
	_, kindErr := p.Connections(0)
	_, percentErr := p.MemoryPercent(77)
	_, intervalErr := p.CPUPercentOver(t.Context(), -time.Second)
	_, nameErr := ParseConnectionKind("tcp5")
	_, memoryErr := ParseMemoryKind("rsss")
	_, openErr := Open(-7)
	for want, err := range map[string]error{
		"CPU 9999":                        p.SetCPUAffinity(9999),
		"CPU -1":                          p.SetCPUAffinity(0, -1),
		"none of the CPUs":                p.SetCPUAffinity(8191),
		"class idle has no levels":        p.SetIONice(IOPriority{Class: IOClassIdle, Level: 3}),
		"class 9":                         p.SetIONice(IOPriority{Class: 9}),
		"level 8":                         p.SetIONice(IOPriority{Class: IOClassBestEffort, Level: 8}),
		"soft limit 9 exceeds hard limit": p.SetRlimit(ResourceCore, Limit{Soft: 9, Hard: 5}),
		"resource 99":                     rlimitErr,
		"resource -1":                     p.SetRlimit(-1, Limit{}),
		"connection kinds 0x0":            kindErr,
		"memory kind 77":                  percentErr,
		"interval -1s":                    intervalErr,
		"no signal 99":                    p.SendSignal(syscall.Signal(99)),
		"want one of":                     memoryErr,
		`"tcp5"`:                          nameErr,
		"negative PID":                    openErr,
	} {
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want ErrInvalid with %q", err, want)
		}
	}
}

// TestWaitContext ends waits with a canceled context and with a deadline.
func TestWaitContext(t *testing.T) {
	p := startChild(t, nil)
	cause := errors.New("the caller stops")
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	late, cancelLate := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancelLate()
	for _, tt := range []struct {
		name      string
		ctx       context.Context
		want, not error
	}{
		{"canceled", canceled, context.Canceled, ErrTimeout},
		{"cause", canceled, cause, context.DeadlineExceeded},
		{"deadline", late, context.DeadlineExceeded, context.Canceled},
		{"timeout", late, ErrTimeout, context.Canceled},
	} {
		if _, err := p.Wait(tt.ctx); !errors.Is(err, tt.want) || errors.Is(err, tt.not) {
			t.Errorf("%s: got error %v of Wait, want %v and not %v", tt.name, err, tt.want, tt.not)
		}
		gone, alive, err := WaitAll(tt.ctx, []*Process{p.Process}, nil)
		if len(gone) != 0 || len(alive) != 1 || err != nil {
			t.Errorf("%s: got %v, %v, error %v of WaitAll, want one live process", tt.name, gone, alive, err)
		}
	}
	<-late.Done()
	if _, err := p.CPUPercentOver(late, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v of CPUPercentOver, want context.DeadlineExceeded", err)
	}
}

// TestMemoryPercentKinds reads every kind of memory use of a child.
func TestMemoryPercentKinds(t *testing.T) {
	p := startStopped(t, "map=anonymous,8388608")
	for k := range MemoryKind(memoryKinds) {
		wantEqual(t, "kind", must[MemoryKind](t)(ParseMemoryKind(k.String())), k)
		percent := must[float64](t)(p.MemoryPercent(k))
		if mayBeZero := k == MemorySwap || k == MemoryHugetlb || k == MemoryRSSShmem; percent < 0 || percent == 0 && !mayBeZero {
			t.Errorf("%v: got %v percent, want more than 0", k, percent)
		}
	}
	ex := must[MemoryInfoEx](t)(p.MemoryInfoEx())
	wantEqual(t, "base fields", ex.MemoryInfo, must[MemoryInfo](t)(p.MemoryInfo()))
	total := must[uint64](t)(p.shared.table.MemoryBytes())
	wantEqual(t, "peak", must[float64](t)(p.MemoryPercent(MemoryPeakRSS)), float64(ex.PeakRSS)/float64(total)*100)
}

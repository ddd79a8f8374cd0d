package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

func TestSetNice(t *testing.T) {
	p := startChild(t, nil)
	wantEqual(t, "before", must[int](t)(p.Nice()), 0)
	for _, tt := range []struct{ set, want int }{{7, 7}, {100, 19}} {
		if err := p.SetNice(tt.set); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "nice", must[int](t)(p.Nice()), tt.want)
		wantEqual(t, "ps", testenv.Output(t, "ps", "-o", "ni=", "-p", strconv.Itoa(p.PID())), strconv.Itoa(tt.want))
		wantEqual(t, "by system call", must[int](t)(p.shared.handle.nice()), tt.want)
	}
}

func TestSetIONice(t *testing.T) {
	p := startChild(t, nil)
	for _, tt := range []struct {
		set  IOPriority
		want string
	}{
		{IOPriority{IOClassBestEffort, 7}, "best-effort: prio 7"}, {IOPriority{IOClassBestEffort, 0}, "best-effort: prio 0"},
		{IOPriority{IOClassIdle, 0}, "idle"},
	} {
		if err := p.SetIONice(tt.set); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "ionice", must[IOPriority](t)(p.IONice()), tt.set)
		wantEqual(t, "ionice(1)", testenv.Output(t, "ionice", "-p", strconv.Itoa(p.PID())), tt.want)
	}
	for _, bad := range []IOPriority{{IOClassIdle, 1}, {IOClassNone, 3}, {IOClassBestEffort, 8}, {IOClassBestEffort, -1}, {9, 0}} {
		if err := p.SetIONice(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: got error %v, want ErrInvalid", bad, err)
		}
	}
	const hint = 5 << 3 // between level and class since Linux 6.5
	if p.shared.handle.setIOPriority(int(IOClassBestEffort)<<ioClassShift|hint|2) == nil {
		wantEqual(t, "with a hint", must[IOPriority](t)(p.IONice()), IOPriority{IOClassBestEffort, 2})
	}
}

func TestSetCPUAffinity(t *testing.T) {
	p := startChild(t, nil)
	all := must[[]int](t)(p.CPUAffinity())
	for _, cpu := range all {
		if err := p.SetCPUAffinity(cpu); err != nil {
			t.Fatal(err)
		}
		if got := must[[]int](t)(p.CPUAffinity()); !slices.Equal(got, []int{cpu}) {
			t.Errorf("got %v, want %d", got, cpu)
		}
		output := testenv.Output(t, "taskset", "-cp", strconv.Itoa(p.PID()))
		wantEqual(t, "taskset", output[strings.LastIndex(output, " ")+1:], strconv.Itoa(cpu))
	}
	if err := p.SetCPUAffinity(); err != nil {
		t.Fatal(err)
	}
	if got := must[[]int](t)(p.CPUAffinity()); !slices.Equal(got, all) {
		t.Errorf("got %v, want all of %v", got, all)
	}
	for _, bad := range []int{-1, maxCPUs, maxCPUs - 1} {
		if err := p.SetCPUAffinity(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("CPU %d: got error %v, want ErrInvalid", bad, err)
		}
	}
}

func TestSetRlimit(t *testing.T) {
	p := startChild(t, nil)
	for _, want := range []Limit{{Soft: 5, Hard: 7}, {Soft: 5, Hard: 5}} {
		if err := p.SetRlimit(ResourceNoFile, want); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "rlimit", must[Limit](t)(p.Rlimit(ResourceNoFile)), want)
		output := strings.Fields(testenv.Output(t, "prlimit", "-p", strconv.Itoa(p.PID()), "-n", "-o", "SOFT,HARD", "--noheadings"))
		wantEqual(t, "prlimit", strings.Join(output, " "), strconv.Itoa(int(want.Soft))+" "+strconv.Itoa(int(want.Hard)))
	}
	if err := p.SetRlimit(ResourceCore, Limit{Soft: 2, Hard: 1}); !errors.Is(err, ErrInvalid) {
		t.Errorf("soft above hard: got error %v, want ErrInvalid", err)
	}
	if _, err := p.Rlimit(Resource(resourceCount)); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown resource: got error %v, want ErrInvalid", err)
	}
}

// TestRlimitSources compares prlimit(2) with /proc/PID/limits, which Rlimit reads if
// the system call is not permitted.
func TestRlimitSources(t *testing.T) {
	self := openProcess(t, os.Getpid())
	limits := must[map[Resource]Limit](t)(self.Rlimits())
	wantEqual(t, "number", len(limits), resourceCount)
	for r, got := range limits {
		var want unix.Rlimit
		if err := unix.Getrlimit(resourceNumbers[r], &want); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, r.String(), got, Limit{Soft: want.Cur, Hard: want.Max})
	}
	p := must[*Process](t)(self.Dup())
	defer p.Close()
	p.shared.handle.(*linuxHandle).inOwnPIDNamespace = false // like the /proc of a host in a container
	for r, want := range limits {
		wantEqual(t, r.String()+" of the file", must[Limit](t)(p.Rlimit(r)), want)
	}
	if err := p.SetNice(0); !errors.Is(err, ErrUnsupported) {
		t.Errorf("by number elsewhere: got error %v, want ErrUnsupported", err)
	}
}

func TestWaitForChild(t *testing.T) {
	tests := []struct {
		script string
		want   ExitStatus
	}{
		{"exit 0", ExitStatus{Known: true}}, {"exit 5", ExitStatus{Known: true, Code: 5}},
		{"kill -TERM $$", ExitStatus{Known: true, Code: -1, Signal: syscall.SIGTERM}},
	}
	for _, tt := range tests {
		t.Run(tt.script, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", "read line; "+tt.script)
			stdin := must[interface{ Close() error }](t)(cmd.StdinPipe())
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			p := openProcess(t, cmd.Process.Pid)
			if _, err := p.Wait(ended()); errors.Is(err, ErrTimeout) || !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v, want context.Canceled without ErrTimeout", err)
			}
			stdin.Close()
			for range 2 { // the second call returns the stored status
				wantEqual(t, "status", must[ExitStatus](t)(p.Wait(context.Background())), tt.want)
			}
			wantEqual(t, "running", p.Running(), false)
		})
	}
}

// TestWaitForGrandchild waits for a grandchild, which its own parent reaps.
func TestWaitForGrandchild(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo $!; kill -STOP $$; wait $!")
	out := must[interface{ Read([]byte) (int, error) }](t)(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	parent := openProcess(t, cmd.Process.Pid)
	defer cmd.Wait()
	defer parent.Resume()
	line := make([]byte, 16)
	n := must[int](t)(out.Read(line))
	p := openProcess(t, must[int](t)(strconv.Atoi(strings.TrimSpace(string(line[:n])))))
	testenv.Eventually(t, func() bool { return statusOf(t, parent) == StatusStopped })
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool { return statusOf(t, p) == StatusZombie })
	if _, err := p.Wait(ended()); !errors.Is(err, context.Canceled) {
		t.Errorf("zombie of another parent: got error %v, want context.Canceled", err)
	}
	if err := parent.Resume(); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "status", must[ExitStatus](t)(p.Wait(context.Background())), ExitStatus{})
}

func TestWaitAll(t *testing.T) {
	first, second, third := startChild(t, nil), startChild(t, nil), startChild(t, nil)
	all := []*Process{first.Process, second.Process, third.Process, first.Process}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	first.Kill()
	var order []*Process
	gone, alive, err := WaitAll(ctx, all, func(p *Process, s ExitStatus) {
		order = append(order, p)
		wantEqual(t, "signal", s.Signal, syscall.SIGKILL)
		if len(order) == 1 {
			second.Kill()
		} else {
			cancel()
		}
	})
	if err != nil || !slices.Equal(gone, []*Process{first.Process, second.Process}) || !slices.Equal(order, gone) ||
		!slices.Equal(alive, []*Process{third.Process}) {
		t.Errorf("got gone %v, alive %v, callbacks %v, error %v, want two gone and one alive", gone, alive, order, err)
	}
}

func TestSignals(t *testing.T) {
	p := startChild(t, nil)
	if err := p.SendSignal(syscall.Signal(1000)); !errors.Is(err, ErrInvalid) {
		t.Errorf("got error %v, want ErrInvalid", err)
	}
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "status", must[ExitStatus](t)(p.Wait(context.Background())).Signal, syscall.SIGTERM)
	if err := p.Terminate(); !errors.Is(err, ErrGone) {
		t.Errorf("got error %v, want ErrGone", err)
	}
}

func TestFamily(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c 'sleep 1000 & echo; wait' & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out := must[interface{ Read([]byte) (int, error) }](t)(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	must[int](t)(out.Read(make([]byte, 1)))
	top := openProcess(t, cmd.Process.Pid)
	children := must[[]*Process](t)(top.Children())
	defer CloseAll(children)
	if len(children) != 1 {
		t.Fatalf("got children %v, want one", children)
	}
	middle := children[0]
	below := must[[]*Process](t)(top.Descendants())
	defer CloseAll(below)
	if len(below) != 2 || !slices.ContainsFunc(below, middle.Equal) {
		t.Fatalf("got descendants %v, want two, with %v", below, middle)
	}
	last := below[slices.IndexFunc(below, func(p *Process) bool { return !p.Equal(middle) })]
	parents := must[[]*Process](t)(last.Parents())
	defer CloseAll(parents)
	self := openProcess(t, os.Getpid())
	if len(parents) < 3 || !parents[0].Equal(middle) || !parents[1].Equal(top) || !parents[2].Equal(self) {
		t.Errorf("got parents %v, want %v, %v, %v first", parents, middle, top, self)
	}
	if err := middle.Kill(); err != nil {
		t.Fatal(err)
	}
	must[ExitStatus](t)(middle.Wait(context.Background()))
	left := must[[]*Process](t)(top.Descendants())
	defer CloseAll(left)
	if slices.ContainsFunc(left, last.Equal) {
		t.Errorf("got descendants %v, want none below the reaped process", left)
	}
	if parent, err := last.Parent(); err != nil || parent == nil || parent.Equal(middle) {
		t.Errorf("got parent %v, error %v, want a new parent", parent, err)
	} else {
		parent.Close()
	}
}

func TestAll(t *testing.T) {
	seen := make(map[int]bool)
	var kept *Process
	for p, err := range All() {
		if err != nil {
			t.Fatal(err)
		}
		if seen[p.PID()] {
			t.Errorf("got %v twice, want it once", p)
		}
		seen[p.PID()] = true
		if p.PID() == os.Getpid() {
			kept = must[*Process](t)(p.Dup())
		}
	}
	if kept == nil || !seen[os.Getppid()] {
		t.Fatalf("got %d processes, want this one and its parent among them", len(seen))
	}
	defer kept.Close()
	wantEqual(t, "kept", must[int](t)(kept.PPID()), os.Getppid())
	for range All() {
		break
	}
	for _, pid := range []int{-1, 0, 1 << 30} {
		wantEqual(t, strconv.Itoa(pid), must[bool](t)(Exists(pid)), false)
		if _, err := Open(pid); err == nil {
			t.Errorf("got process %d, want an error", pid)
		}
	}
}

// TestConcurrentUse calls methods concurrently, for the race detector.
func TestConcurrentUse(t *testing.T) {
	p := startChild(t, nil)
	view := p.Oneshot()
	var all sync.WaitGroup
	for k := range 8 {
		all.Go(func() {
			for _, name := range Attrs() {
				if _, err := p.Attr(name); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if _, err := view.Attr(name); err != nil {
					t.Errorf("%s of a view: %v", name, err)
				}
			}
			if k == 0 {
				p.SetNice(1)
			}
		})
	}
	all.Wait()
	p.Kill()
	for range 8 {
		all.Go(func() {
			status, err := p.Wait(context.Background())
			if err != nil && !errors.Is(err, os.ErrClosed) || status.Known && status.Signal != syscall.SIGKILL {
				t.Errorf("got %+v, error %v, want SIGKILL or os.ErrClosed", status, err)
			}
			p.Close()
		})
	}
	all.Wait()
	if _, err := p.Name(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got error %v after Close, want os.ErrClosed", err)
	}
}

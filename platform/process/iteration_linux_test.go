package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// listedProcess returns the Process of an iteration with this PID.
func listedProcess(t *testing.T, table *Table, pid int) *Process {
	t.Helper()
	for p, err := range table.All() {
		if err != nil {
			t.Fatal(err)
		}
		if p.PID() == pid {
			return p
		}
	}
	t.Fatalf("got no process %d, want one", pid)
	return nil
}

// TestProcessesOfIterationStayUsable reads processes after the iteration, with the
// descriptors of one process.
func TestProcessesOfIterationStayUsable(t *testing.T) {
	child := startChild(t, nil)
	fds := must[int](t)(openProcess(t, os.Getpid()).NumFDs())
	var all []*Process
	for p, err := range All() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if now := must[int](t)(openProcess(t, os.Getpid()).NumFDs()); now > fds+2 {
		t.Errorf("got %d descriptors after the iteration over %d processes, want %d as before", now, len(all), fds)
	}
	p := all[slices.IndexFunc(all, child.Equal)]
	wantEqual(t, "name", must[string](t)(p.Name()), "edgecase")
	wantEqual(t, "running", p.Running(), true)
	dup := must[*Process](t)(p.Dup())
	defer dup.Close()
	wantEqual(t, "parent of the duplicate", must[int](t)(dup.PPID()), os.Getpid())
	child.End()
	if name, err := p.Name(); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "edgecase") {
		t.Errorf("got %q, error %v after the exit, want ErrGone with the name", name, err)
	}
	wantEqual(t, "running after the exit", p.Running(), false)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Name(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got error %v after Close, want os.ErrClosed", err)
	}
}

// TestPIDReusedAfterIteration reads a process whose PID another process has by then.
func TestPIDReusedAfterIteration(t *testing.T) {
	tree := threeProcesses(t)
	table := openTestTable(t, tree.Root)
	p := listedProcess(t, table, 11)
	wantEqual(t, "name", must[string](t)(p.Name()), "p11")
	stat := filepath.Join(tree.Root, "11/stat")
	text := string(must[[]byte](t)(os.ReadFile(stat)))
	fields := strings.Fields(text)
	wantEqual(t, "start", fields[21], "11")
	fields[21] = "99"
	if err := os.WriteFile(stat, []byte(strings.Join(fields, " ")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if name, err := p.Name(); !errors.Is(err, ErrGone) {
		t.Errorf("got %q, error %v, want ErrGone", name, err)
	}
	wantEqual(t, "running", p.Running(), false)
}

// TestCPUPercentOfIterations reads the CPU use of a busy process in several iterations.
func TestCPUPercentOfIterations(t *testing.T) {
	table := openTestTable(t, "/proc")
	busy := startChild(t, nil, "spin")
	percent := func() float64 { return must[float64](t)(listedProcess(t, table, busy.PID()).CPUPercent()) }
	wantEqual(t, "first", percent(), 0)
	testenv.Eventually(t, func() bool { return percent() > 0 })
	busy.End()
	for range table.All() {
		break
	}
	wantEqual(t, "measurements of exited processes", len(table.meters.byPID), 0)
}

// TestDupKeepsCPUPercent measures a busy process with a duplicate, whose first
// measurement continues that of the original.
func TestDupKeepsCPUPercent(t *testing.T) {
	p := startChild(t, nil, "spin")
	testenv.Eventually(t, func() bool { return must[float64](t)(p.CPUPercent()) > 0 })
	used := must[CPUTimes](t)(p.CPUTimes())
	testenv.Eventually(t, func() bool { return must[CPUTimes](t)(p.CPUTimes()) != used })
	dup := must[*Process](t)(p.Dup())
	defer dup.Close()
	for name, q := range map[string]*Process{"duplicate": dup, "original": p.Process} {
		if percent := must[float64](t)(q.CPUPercent()); percent <= 0 {
			t.Errorf("%s: got %v percent, want more than 0", name, percent)
		}
	}
}

// TestCPUPercentOfView measures a busy process with a view, twice. The second call
// returns the same value, and does not shorten the interval of the next measurement.
func TestCPUPercentOfView(t *testing.T) {
	p := startChild(t, nil, "spin")
	must[float64](t)(p.CPUPercent())
	var view *Process
	testenv.Eventually(t, func() bool { view = p.Oneshot(); return must[float64](t)(view.CPUPercent()) > 0 })
	first, read := must[float64](t)(view.CPUPercent()), p.meter().at
	wantEqual(t, "second result", must[float64](t)(view.CPUPercent()), first)
	wantEqual(t, "start of the next interval", p.meter().at, read)
}

// TestCloseOfView closes a view, which has no effect, and then the original.
func TestCloseOfView(t *testing.T) {
	p := startChild(t, nil)
	if err := p.Oneshot().Close(); err != nil {
		t.Error(err)
	}
	wantEqual(t, "name", must[string](t)(p.Name()), "edgecase")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	wantEqual(t, "running of a closed Process", p.Running(), true)
	p.End()
	wantEqual(t, "running of a closed Process after the exit", p.Running(), false)
}

func TestNoParent(t *testing.T) {
	first := openProcess(t, 1)
	if parent, err := first.Parent(); parent != nil || !errors.Is(err, ErrNoParent) || errors.Is(err, ErrGone) {
		t.Errorf("got parent %v, error %v, want ErrNoParent", parent, err)
	}
	wantEqual(t, "ancestors", len(must[[]int](t)(first.ParentPIDs())), 0)
	wantEqual(t, "attribute", must[any](t)(first.Attr(AttrParent)), any(0))
}

// TestChildrenWithoutDescriptors opens more children than this program has
// descriptors for.
func TestChildrenWithoutDescriptors(t *testing.T) {
	const count, spare = 30, 8
	for range count {
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
	}
	self := openProcess(t, os.Getpid())
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := unix.Rlimit{Cur: min(1000, limit.Max), Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var used []int
	for {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			break
		}
		used = append(used, fd)
	}
	closeAll := func(fds []int) {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
	defer closeAll(used[spare:])
	closeAll(used[:spare])
	children, err := self.Children()
	n := len(children)
	CloseAll(children)
	pids, pidsErr := self.ChildPIDs()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if n == 0 || n >= count || !errors.Is(err, unix.EMFILE) {
		t.Errorf("got %d children, error %v, want some and EMFILE", n, err)
	}
	if pidsErr != nil || len(pids) < count {
		t.Errorf("got %d PIDs, error %v, want at least %d", len(pids), pidsErr, count)
	}
	children = must[[]*Process](t)(self.Children())
	CloseAll(children)
	if got := fmt.Sprint(must[[]int](t)(pidsOf(children, nil))); got != fmt.Sprint(pids) {
		t.Errorf("got children %s with descriptors, want %v", got, pids)
	}
}

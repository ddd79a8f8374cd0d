package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// blockFiles replaces files of a fake process by FIFOs, whose open(2) blocks until the
// end of the test.
func blockFiles(t *testing.T, root string, pid int) {
	t.Helper()
	for _, name := range []string{"stat", "status", "statm", "io", "cmdline", "environ", "limits", "smaps", "smaps_rollup"} {
		path := filepath.Join(root, strconv.Itoa(pid), name)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil { // unblocks the readers
				_ = f.Close()
			}
		})
	}
}

// TestContextOfProcess reads a process whose files block.
func TestContextOfProcess(t *testing.T) {
	tree := threeProcesses(t)
	p := openIn(t, openTestTable(t, tree.Root), 10)
	blockFiles(t, tree.Root, 10)
	for _, name := range []Attr{AttrPPID, AttrName, AttrCmdline, AttrEnviron, AttrUIDs, AttrMemoryInfo, AttrMemoryInfoEx,
		AttrFootprint, AttrMemoryMapsByPath, AttrIOCounters, AttrParent, AttrParents, AttrChildren, AttrDescendants} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		began := time.Now()
		_, err := p.WithContext(ctx).Attr(name)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) || time.Since(began) > 30*time.Second {
			t.Errorf("%s: got error %v after %v, want the end of the context", name, err, time.Since(began))
		}
		_, err = p.WithContext(ctx).AsMap("denied", name)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got error %v with an ended context, want context.DeadlineExceeded", name, err)
		}
		cancel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for name, call := range map[string]func(*Process) ([]*Process, error){
		"children": (*Process).Children, "descendants": (*Process).Descendants, "parents": (*Process).Parents,
	} {
		if all, err := call(p.WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, error %v, want context.DeadlineExceeded", name, all, err)
		}
	}
	if _, err := p.CPUPercentOver(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v of CPUPercentOver, want context.DeadlineExceeded", err)
	}
}

// TestContextsOfWait waits with two contexts. The error is that of the one that ends
// first.
func TestContextsOfWait(t *testing.T) {
	child := startChild(t, nil)
	cause := errors.New("the caller stops")
	late, cancelLate := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancelLate()
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for _, tt := range []struct {
		name            string
		view, call      context.Context
		want, also, not error
	}{
		{"deadline of the view", late, t.Context(), context.DeadlineExceeded, ErrTimeout, context.Canceled},
		{"deadline of the call", t.Context(), late, context.DeadlineExceeded, ErrTimeout, context.Canceled},
		{"view canceled", canceled, t.Context(), context.Canceled, cause, ErrTimeout},
		{"call canceled", t.Context(), canceled, context.Canceled, cause, ErrTimeout},
	} {
		p := child.WithContext(tt.view)
		_, waitErr := p.Wait(tt.call)
		_, percentErr := p.CPUPercentOver(tt.call, time.Hour)
		for name, err := range map[string]error{"wait": waitErr, "cpu percent": percentErr} {
			if !errors.Is(err, tt.want) || !errors.Is(err, tt.also) || errors.Is(err, tt.not) {
				t.Errorf("%s: %s: got error %v, want %v, %v and not %v", tt.name, name, err, tt.want, tt.also, tt.not)
			}
		}
	}
}

// TestContextOfListedProcess calls methods of a process of an iteration, which open it
// again, while its files block.
func TestContextOfListedProcess(t *testing.T) {
	tree := threeProcesses(t)
	p := listedProcess(t, openTestTable(t, tree.Root), 11)
	blockFiles(t, tree.Root, 11)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	view := p.WithContext(ctx)
	_, nameErr := view.Name()
	_, dupErr := view.Dup()
	_, affinityErr := view.CPUAffinity()
	_, waitErr := p.Wait(ctx)
	for name, err := range map[string]error{
		"name": nameErr, "dup": dupErr, "affinity": affinityErr, "wait": waitErr, "kill": view.Kill(), "nice": view.SetNice(1),
	} {
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) {
			t.Errorf("%s: got error %v, want context.DeadlineExceeded", name, err)
		}
	}
	wantEqual(t, "running", view.Running(), true)
	wantEqual(t, "string", p.String(), `process 11 ("p11")`)
}

// TestEndedContextOfOneshot reads a value again that a view has read before its context
// ended.
func TestEndedContextOfOneshot(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	view := startChild(t, nil).WithContext(ctx).Oneshot()
	must[int](t)(view.PPID())
	cancel()
	if _, err := view.PPID(); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	wantEqual(t, "running", view.Running(), true)
}

// A lateContext is a context whose deadline passes when done is closed.
type lateContext struct {
	context.Context
	done chan struct{}
}

func (c lateContext) Done() <-chan struct{} { return c.done }

func (c lateContext) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestContextOfTable opens processes of which the second one blocks. The deadline passes after
// the first one is open.
func TestContextOfTable(t *testing.T) {
	tree := threeProcesses(t)
	blockFiles(t, tree.Root, 11)
	ctx := lateContext{context.Background(), make(chan struct{})}
	table := openTestTable(t, tree.Root).WithContext(ctx)
	var pids []int
	for p, err := range table.All() {
		if err == nil {
			if pids = append(pids, p.PID()); len(pids) == 1 {
				time.AfterFunc(50*time.Millisecond, func() { close(ctx.done) })
			}
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want context.DeadlineExceeded", err)
		}
	}
	if len(pids) != 1 || pids[0] != 10 {
		t.Errorf("got processes %v, want 10 only", pids)
	}
	_, openErr := table.Open(11)
	_, existsErr := table.Exists(11)
	_, treeErr := table.ReadTree()
	_, pidsErr := table.PIDs()
	_, bootErr := table.BootTime()
	_, memoryErr := table.MemoryBytes()
	for name, err := range map[string]error{
		"open": openErr, "exists": existsErr, "tree": treeErr, "PIDs": pidsErr, "boot time": bootErr, "memory": memoryErr,
	} {
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) {
			t.Errorf("%s: got error %v, want context.DeadlineExceeded", name, err)
		}
	}
}

// TestWithContext uses a context that does not end.
func TestWithContext(t *testing.T) {
	child := startChild(t, nil)
	p := must[*Process](t)(OpenContext(t.Context(), child.PID()))
	view := p.WithContext(t.Context())
	want := must[map[Attr]any](t)(child.AsMap(nil, AttrName, AttrParent, AttrCmdline, AttrNumFDs))
	got := must[map[Attr]any](t)(view.AsMap(nil, AttrName, AttrParent, AttrCmdline, AttrNumFDs))
	wantEqual(t, "name", got[AttrName], want[AttrName])
	wantEqual(t, "parent", got[AttrParent], want[AttrParent])
	wantEqual(t, "descriptors", got[AttrNumFDs], want[AttrNumFDs])
	parent := must[*Process](t)(view.Parent())
	defer parent.Close()
	wantEqual(t, "parent", parent.PID(), os.Getpid())
	found := false
	for q, err := range AllContext(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found = found || q.Equal(p)
	}
	wantEqual(t, "found", found, true)
	if err := view.Close(); err != nil {
		t.Error(err)
	}
	wantEqual(t, "parent after Close of the view", must[int](t)(p.PPID()), os.Getpid())
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := view.PPID(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got error %v, want os.ErrClosed", err)
	}
}

package process

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/procfstree"
	"github.com/seed57308aee/process_exporter/test/testenv"
)

// reuseDescriptors opens another process file system until a new descriptor is greater
// than fd, so that fd is in use again.
func reuseDescriptors(t *testing.T, fd int) {
	t.Helper()
	other := procfstree.New(t, 1000)
	other.Set(procfstree.Process{PID: 4242, Comm: "other", Start: 1})
	for last := -1; last < fd; {
		dir, err := os.Open(other.Root)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dir.Close() })
		last = int(dir.Fd())
	}
}

// mountDescriptor returns the descriptor of the process file system at root.
func mountDescriptor(t *testing.T, root string) int {
	t.Helper()
	fds := must[[]os.DirEntry](t)(os.ReadDir("/proc/self/fd"))
	for _, entry := range fds {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name())); err == nil && target == root {
			fd := 0
			for _, digit := range entry.Name() {
				fd = 10*fd + int(digit-'0')
			}
			return fd
		}
	}
	t.Fatalf("got no descriptor of %s, want one", root)
	return -1
}

// TestClosedTable calls methods of a closed Table, and of its processes, while another
// directory has its descriptor.
func TestClosedTable(t *testing.T) {
	tree := threeProcesses(t)
	tree.Set(procfstree.Process{PID: 11, PPID: 10, Comm: "p11", Start: 11})
	table := must[*Table](t)(OpenTable(tree.Root))
	p, listed := openIn(t, table, 11), listedProcess(t, table, 12)
	fd := mountDescriptor(t, tree.Root)
	if err := table.WithContext(t.Context()).Close(); err != nil {
		t.Errorf("got error %v of Close of a view, want nil", err)
	}
	must[[]int](t)(table.PIDs())
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	reuseDescriptors(t, fd)
	view := table.WithContext(t.Context())
	for name, call := range map[string]func() error{
		"close":             table.Close,
		"PIDs":              func() error { _, err := table.PIDs(); return err },
		"PIDs of a view":    func() error { _, err := view.PIDs(); return err },
		"open":              func() error { _, err := table.Open(10); return err },
		"open of a view":    func() error { _, err := view.Open(10); return err },
		"exists":            func() error { _, err := table.Exists(10); return err },
		"tree":              func() error { _, err := table.ReadTree(); return err },
		"boot time":         func() error { _, err := table.BootTime(); return err },
		"memory":            func() error { _, err := table.MemoryBytes(); return err },
		"parent":            func() error { _, err := p.Parent(); return err },
		"parents":           func() error { _, err := p.Parents(); return err },
		"parent PIDs":       func() error { _, err := p.ParentPIDs(); return err },
		"children":          func() error { _, err := p.Children(); return err },
		"child PIDs":        func() error { _, err := p.ChildPIDs(); return err },
		"descendants":       func() error { _, err := p.Descendants(); return err },
		"descendant PIDs":   func() error { _, err := p.DescendantPIDs(); return err },
		"create time":       func() error { _, err := p.CreateTime(); return err },
		"memory percent":    func() error { _, err := p.MemoryPercent(MemoryRSS); return err },
		"name of a listed":  func() error { _, err := listed.Name(); return err },
		"child PIDs listed": func() error { _, err := listed.ChildPIDs(); return err },
		"all": func() error {
			for _, err := range table.All() {
				return err
			}
			return nil
		},
	} {
		err := call()
		if !errors.Is(err, os.ErrClosed) || errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "the Table is closed") {
			t.Errorf("%s: got error %v, want os.ErrClosed", name, err)
		} else if strings.Count(err.Error(), "process: ") != 1 {
			t.Errorf("%s: got error %v, want one prefix", name, err)
		}
	}
	wantEqual(t, "name", must[string](t)(p.Name()), "p11")
	wantEqual(t, "running", p.Running() && listed.Running(), true)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{"close": p.Close(), "terminate": p.Terminate()} {
		want := "process: " + what + ` process 11 ("p11"): the Process is closed`
		if !errors.Is(err, os.ErrClosed) || err.Error() != want {
			t.Errorf("got error %v, want %s", err, want)
		}
	}
}

// TestCloseDuringRead closes a Table while it lists processes. The call reads all of
// them, also after another directory could have its descriptor.
func TestCloseDuringRead(t *testing.T) {
	tree := threeProcesses(t)
	table := must[*Table](t)(OpenTable(tree.Root))
	fd := mountDescriptor(t, tree.Root)
	stat := filepath.Join(tree.Root, "11", "stat")
	text := must[[]byte](t)(os.ReadFile(stat))
	if err := errors.Join(os.Remove(stat), unix.Mkfifo(stat, 0o600)); err != nil {
		t.Fatal(err)
	}
	type result struct {
		tree *Tree
		err  error
	}
	results := make(chan result, 1)
	go func() {
		all, err := table.ReadTree()
		results <- result{all, err}
	}()
	var fifo *os.File
	testenv.Eventually(t, func() (opened bool) { // as soon as the call reads
		var err error
		fifo, err = os.OpenFile(stat, os.O_WRONLY|unix.O_NONBLOCK, 0)
		return err == nil
	})
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	reuseDescriptors(t, fd)
	must[int](t)(fifo.Write(text))
	_ = fifo.Close()
	got := <-results
	if got.err != nil {
		t.Fatal(got.err)
	}
	var pids []int
	for _, children := range got.tree.byParent {
		pids = append(pids, pidsIn(children)...)
	}
	if slices.Sort(pids); !slices.Equal(pids, []int{10, 11, 12}) {
		t.Errorf("got processes %v, want 10, 11 and 12", pids)
	}
}

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/procfs"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// startFuse starts a FUSE server that does not reply to one operation, and a process
// that has a file of it open. With "write" the process holds its memory map locked;
// the other operation is "stat". It returns the process and the server. The end of
// the server unblocks the process.
func startFuse(t *testing.T, operation string) (blocked *Process, server *child) {
	t.Helper()
	requireFuse(t)
	server = startChild(t, nil, "fuse="+operation+","+filepath.Join(t.TempDir(), "file"))
	children := must[[]*Process](t)(server.Children())
	t.Cleanup(func() { CloseAll(children) })
	if len(children) != 1 {
		t.Fatalf("got children %v, want one", children)
	}
	return children[0], server
}

func requireFuse(t *testing.T) {
	t.Helper()
	testenv.RequireRoot(t)
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("FUSE is not available: %v", err)
	}
}

// TestLockedMemoryMap reads a process with a locked memory map. Attributes that do
// not need the map are readable, also through a view, while other reads block.
func TestLockedMemoryMap(t *testing.T) {
	blocked, server := startFuse(t, "write")
	view := blocked.Oneshot()
	blocking := []Attr{"cmdline", "environ", "memory_footprint", "memory_full_info", "memory_maps", "memory_maps_ext"}
	done := make(chan Attr)
	for _, name := range blocking {
		go func() { _, _ = view.Attr(name); done <- name }() // the error depends on the order of the reads
	}
	for _, name := range Attrs() {
		if name == "num_handles" || slices.Contains(blocking, name) {
			continue
		}
		if _, err := view.Attr(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	testenv.Eventually(t, func() bool { return statusOf(t, blocked) == StatusDiskSleep })
	select {
	case name := <-done:
		t.Errorf("%s returned, want it blocked", name)
	default:
	}
	server.End()
	for range blocking {
		<-done
	}
}

// TestUnresponsiveFileSystem reads a process with an open file whose FUSE server does
// not reply to stat. No method sends a request to the server.
func TestUnresponsiveFileSystem(t *testing.T) {
	blocked, server := startFuse(t, "stat")
	files := must[[]OpenFile](t)(blocked.OpenFiles())
	at := slices.IndexFunc(files, func(f OpenFile) bool { return filepath.Base(f.Path) == "file" })
	if at < 0 || files[at].Mode != "r+" || files[at].Deleted {
		t.Errorf("got %+v, want the open file in mode r+", files)
	}
	wantAllReturn(t, blocked)
	server.End()
}

// TestLockedEpoll reads a process with a locked epoll descriptor. A read of its
// fdinfo blocks beyond SIGKILL, so no method reads it.
func TestLockedEpoll(t *testing.T) {
	requireFuse(t)
	server := startChild(t, nil, "unresponsive=epoll,1,"+filepath.Join(t.TempDir(), "file"))
	children := must[[]*Process](t)(server.Children())
	t.Cleanup(func() { CloseAll(children) })
	fds := must[[]int](t)(children[0].shared.handle.numbers(make([]byte, 4096), "fd"))
	read := make(chan int, len(fds))
	for _, fd := range fds {
		go func() {
			_, _ = os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", children[0].PID(), fd))
			read <- fd
		}()
	}
	for range len(fds) - 1 {
		<-read
	}
	testenv.Eventually(t, func() bool { // the last reader is in uninterruptible sleep
		stats, _ := filepath.Glob("/proc/self/task/*/stat")
		return slices.ContainsFunc(stats, func(path string) bool {
			text, _ := os.ReadFile(path)
			var st procfs.Stat
			return procfs.ParseStat(text, &st) == nil && st.State == 'D'
		})
	})
	wantAllReturn(t, children[0])
	server.End()
	<-read
}

// wantAllReturn fails the test if a read of an attribute of p blocks.
func wantAllReturn(t *testing.T, p *Process) {
	t.Helper()
	returned := make(chan Attr)
	for _, name := range Attrs() {
		go func() { _, _ = p.Attr(name); returned <- name }()
	}
	missing := Attrs()
	timeout := time.After(time.Minute)
	for len(missing) > 0 {
		select {
		case name := <-returned:
			missing = slices.DeleteFunc(missing, func(a Attr) bool { return a == name })
		case <-timeout:
			t.Fatalf("got no result for %v, want all attributes", missing)
		}
	}
}

// TestChildrenOfUnresponsiveProcess reads a process next to one whose stat file blocks.
// Only Children, which reads stat of every process, blocks.
func TestChildrenOfUnresponsiveProcess(t *testing.T) {
	tree := threeProcesses(t)
	table := openTestTable(t, tree.Root)
	p := openIn(t, table, 10)
	stat := filepath.Join(tree.Root, "11/stat")
	if err := errors.Join(os.Remove(stat), unix.Mkfifo(stat, 0o600)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { _, err := p.Children(); done <- err }()
	var writer *os.File // while it is open, the reader blocks
	testenv.Eventually(t, func() bool {
		var err error
		writer, err = os.OpenFile(stat, os.O_WRONLY|unix.O_NONBLOCK, 0)
		return err == nil
	})
	must[int](t)(p.PPID())
	must[[]int](t)(table.PIDs())
	must[time.Time](t)(p.CreateTime())
	select {
	case err := <-done:
		t.Errorf("got error %v, want Children blocked", err)
	default:
	}
	_ = writer.Close()
	<-done
}

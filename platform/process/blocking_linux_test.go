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

	"github.com/seed57308aee/process_exporter/testdata/testenv"
)

// startFuse starts a process that holds a file of a file system in user space
// which does not answer: to "write", so that the process holds its memory map
// locked, or to "stat". It returns that process, and its parent, whose end sets
// it free.
func startFuse(t *testing.T, silence string) (held *Process, server *child) {
	t.Helper()
	wantFuse(t)
	server = startChild(t, nil, "fuse="+silence+","+filepath.Join(t.TempDir(), "file"))
	children := must[[]*Process](t)(server.Children())
	t.Cleanup(func() { CloseAll(children) })
	if len(children) != 1 {
		t.Fatalf("got children %v, want one", children)
	}
	return children[0], server
}

func wantFuse(t *testing.T) {
	t.Helper()
	testenv.RequireRoot(t)
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("no file systems in user space: %v", err)
	}
}

// TestLockedMemoryMap has a process whose memory map nobody can read. What does
// not need it answers, of a view too, while another call waits for it.
func TestLockedMemoryMap(t *testing.T) {
	held, server := startFuse(t, "write")
	view := held.Oneshot()
	waits := []Attr{"cmdline", "environ", "memory_footprint", "memory_full_info", "memory_maps", "memory_maps_ext"}
	ended := make(chan Attr)
	for _, name := range waits {
		go func() { _, _ = view.Attr(name); ended <- name }() // which error, or none, depends on who is first
	}
	for _, name := range Attrs() {
		if name == "num_handles" || slices.Contains(waits, name) {
			continue
		}
		if _, err := view.Attr(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	testenv.Eventually(t, func() bool { return statusOf(t, held) == StatusDiskSleep })
	select {
	case name := <-ended:
		t.Errorf("%s did not wait", name)
	default:
	}
	server.End()
	for range waits {
		<-ended
	}
}

// TestUnresponsiveFileSystem has a process with a file open of which nothing can be
// learned from its server, and one that keeps an epoll descriptor locked, whose
// fdinfo would hold who reads it beyond SIGKILL. No method asks for either.
func TestUnresponsiveFileSystem(t *testing.T) {
	held, server := startFuse(t, "stat")
	files := must[[]OpenFile](t)(held.OpenFiles())
	at := slices.IndexFunc(files, func(f OpenFile) bool { return filepath.Base(f.Path) == "file" })
	if at < 0 || files[at].Mode != "r+" || files[at].Deleted {
		t.Errorf("got %+v without the file", files)
	}
	answersAll(t, held)
	server.End()
}

func TestLockedEpoll(t *testing.T) {
	wantFuse(t)
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
	testenv.Eventually(t, func() bool { // the last one waits, and in a way that no signal ends
		stats, _ := filepath.Glob("/proc/self/task/*/stat")
		return slices.ContainsFunc(stats, func(path string) bool {
			text, _ := os.ReadFile(path)
			var st procfs.Stat
			return procfs.ParseStat(text, &st) == nil && st.State == 'D'
		})
	})
	answersAll(t, children[0])
	server.End()
	<-read
}

// answersAll fails the test if a method of p keeps its caller waiting.
func answersAll(t *testing.T, p *Process) {
	t.Helper()
	answered := make(chan Attr)
	for _, name := range Attrs() {
		go func() { _, _ = p.Attr(name); answered <- name }()
	}
	missing := Attrs()
	timeout := time.After(30 * time.Second)
	for len(missing) > 0 {
		select {
		case name := <-answered:
			missing = slices.DeleteFunc(missing, func(a Attr) bool { return a == name })
		case <-timeout:
			t.Fatalf("no answer to %v", missing)
		}
	}
}

// TestChildrenOfUnresponsiveProcess has a process that does not answer at all. To look for children
// has to wait for it; what concerns other processes does not.
func TestChildrenOfUnresponsiveProcess(t *testing.T) {
	tree := threeProcesses(t)
	table := openTable(t, tree.Root)
	p := openIn(t, table, 10)
	stat := filepath.Join(tree.Root, "11/stat")
	if err := errors.Join(os.Remove(stat), unix.Mkfifo(stat, 0o600)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { _, err := p.Children(); ended <- err }()
	var writer *os.File // while it is open, what reads has to wait
	testenv.Eventually(t, func() bool {
		var err error
		writer, err = os.OpenFile(stat, os.O_WRONLY|unix.O_NONBLOCK, 0)
		return err == nil
	})
	must[int](t)(p.PPID())
	must[[]int](t)(table.PIDs())
	must[time.Time](t)(p.CreateTime())
	select {
	case err := <-ended:
		t.Errorf("did not wait: %v", err)
	default:
	}
	_ = writer.Close()
	<-ended
}

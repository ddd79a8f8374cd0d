package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// TestProcfsNamespaces checks listeners in several network namespaces.
func TestProcfsNamespaces(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireNamespaces(t)
	r := openProcfs(t, Options{Budget: unlimited})
	var report Report
	for range 5 {
		child := startSocketChild(t, nil, "unshare", "--net", "--")
		pid := child.number("pid")
		port := child.number("listen 0.0.0.0:0")
		waitFor(t, r, pid, "a listener in a namespace", func(p Process) bool {
			return slices.Equal(listenersOf(p, TCP, uint16(port)), []Listener{{Protocol: TCP, Port: uint16(port)}})
		})
		if i := slices.IndexFunc(r.namespaces, func(ns *namespace) bool { return ns.process.pid == pid }); i < 0 {
			t.Errorf("got no namespace of process %d", pid)
		}
		child.end()
		if p, found := readProcess(t, r, &report, pid); found {
			t.Errorf("got %+v after the exit, want no Process", p)
		}
	}
}

// TestProcfsHostRoot reads a procfs of another PID namespace than that of the Reader, as
// with the procfs of the host in a container.
func TestProcfsHostRoot(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireNamespaces(t)
	child := startSocketChild(t, nil, "unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--")
	if pid := child.number("pid"); pid != 1 {
		t.Fatalf("got PID %d, want 1", pid)
	}
	port := child.number("listen 0.0.0.0:0")
	children := testenv.Output(t, "pgrep", "-P", strconv.Itoa(child.cmd.Process.Pid))
	r := openProcfs(t, Options{Root: filepath.Join("/proc", children, "root/proc"), Budget: unlimited})
	p := waitFor(t, r, 1, "a listener of PID 1", func(p Process) bool { return len(listenersOf(p, TCP, uint16(port))) == 1 })
	if p.Open.Connections[StateListen] != 1 || p.Unreadable {
		t.Errorf("got %+v, want one listener", p)
	}
}

// TestProcfsUnprivileged reads as another user: in a child, whose own sockets it knows.
func TestProcfsUnprivileged(t *testing.T) {
	if os.Getenv("SOCKETS_UNPRIVILEGED") != "" {
		checkUnprivileged(t)
		return
	}
	testenv.RequireRoot(t)
	_, port := listenTCP(t, "tcp4", "127.0.0.1:0") // of this process, which the child may not read
	child := unprivileged(t, "TestProcfsUnprivileged", fmt.Sprint("SOCKETS_UNPRIVILEGED=", os.Getpid(), ",", port))
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
}

func checkUnprivileged(t *testing.T) {
	var parent, port int
	if _, err := fmt.Sscanf(os.Getenv("SOCKETS_UNPRIVILEGED"), "%d,%d", &parent, &port); err != nil {
		t.Fatal(err)
	}
	r := openProcfs(t, Options{Budget: unlimited})
	_, own := listenTCP(t, "tcp4", "127.0.0.1:0")
	p := waitFor(t, r, os.Getpid(), "the own listener", func(p Process) bool { return len(listenersOf(p, TCP, own)) == 1 })
	if p.Unreadable {
		t.Errorf("got %+v of this process, want it readable", p)
	}
	p = waitFor(t, r, parent, "unreadable", func(p Process) bool { return p.Unreadable })
	if p.Start == 0 || len(p.Open.Listeners) > 0 {
		t.Errorf("got %+v of a process of root, want no sockets", p)
	}
}

// A procCopy is a copy of /proc whose processes are in one network namespace. Each listens on the
// port of its PID, with a socket whose inode is the PID.
type procCopy struct {
	t    *testing.T
	root string
	pids []int
}

func newProcCopy(t *testing.T, pids ...int) *procCopy {
	t.Helper()
	c := &procCopy{t: t, root: t.TempDir()}
	c.write("stat", "btime 1\n")
	c.write("tcp", "")
	c.write("sockstat", "TCP: inuse 1\nUDP: inuse 0\n")
	c.write("sockstat6", "TCP6: inuse 0\nUDP6: inuse 0\n")
	c.write("unix", "header\n")
	for _, pid := range pids {
		c.start(pid)
	}
	return c
}

func (c *procCopy) write(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		c.t.Fatal(err)
	}
}

// start adds a process.
func (c *procCopy) start(pid int) {
	c.t.Helper()
	dir := strconv.Itoa(pid)
	c.write(dir+"/stat", fmt.Sprintf("%d (p) S 1 1 1 0 -1 0%s 1 0 %d%s\n", pid, strings.Repeat(" 0", 10), pid, strings.Repeat(" 0", 30)))
	dir = filepath.Join(c.root, dir)
	err := errors.Join(os.MkdirAll(dir+"/net", 0o755), os.Mkdir(dir+"/fd", 0o755), os.Symlink(fmt.Sprintf("socket:[%d]", pid), dir+"/fd/3"))
	for _, file := range []string{"tcp", "sockstat", "sockstat6", "unix"} {
		err = errors.Join(err, os.Link(filepath.Join(c.root, file), filepath.Join(dir, "net", file)))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.pids = append(c.pids, pid)
	c.writeTable()
}

// end removes a process.
func (c *procCopy) end(pid int) {
	c.t.Helper()
	if err := os.RemoveAll(filepath.Join(c.root, strconv.Itoa(pid))); err != nil {
		c.t.Fatal(err)
	}
	c.pids = slices.DeleteFunc(c.pids, func(p int) bool { return p == pid })
	c.writeTable()
}

// writeTable writes the sockets of all processes.
func (c *procCopy) writeTable() {
	c.t.Helper()
	text := "header\n"
	for _, pid := range c.pids {
		text += fmt.Sprintf("0: 0100007F:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 %d\n", pid, pid)
	}
	c.write("tcp", text)
}

// TestProcfsBlockedRead checks that a process whose files block delays no other.
func TestProcfsBlockedRead(t *testing.T) {
	root := newProcCopy(t, 10, 11, 12).root
	fifo := filepath.Join(root, "11/stat")
	if err := errors.Join(os.Rename(fifo, fifo+".kept"), unix.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	r := openProcfs(t, Options{Root: root, Budget: unlimited})
	var report Report
	pids := func() (list []int) {
		if err := r.Read(context.Background(), &report); err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Processes {
			if p.Start != uint64(p.PID) || len(listenersOf(p, TCP, uint16(p.PID))) != 1 {
				t.Errorf("got %+v, want start time and port %d", p, p.PID)
			}
			list = append(list, p.PID)
		}
		return list
	}
	for range 3 {
		if got := pids(); !slices.Equal(got, []int{10, 12}) {
			t.Errorf("got processes %v while reads of 11 block, want 10 and 12", got)
		}
	}
	if len(r.scans.blocked) != 1 {
		t.Errorf("got %d blocked scans, want 1", len(r.scans.blocked))
	}
	w, err := os.OpenFile(fifo, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err := errors.Join(err, os.Rename(fifo+".kept", fifo), w.Close()); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() bool { return slices.Equal(pids(), []int{10, 11, 12}) })
}

// BenchmarkProcfsRead reads with 9,000 established connections of this process: with the default
// budget, and all descriptors in each Read.
func BenchmarkProcfsRead(b *testing.B) {
	l, _ := listenTCP(b, "tcp4", "127.0.0.1:0")
	for range 4500 {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			b.Skip(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		s, err := l.Accept()
		if err != nil {
			b.Skip(err)
		}
		b.Cleanup(func() { _ = s.Close() })
	}
	for name, budget := range map[string]time.Duration{"default": defaultBudget, "unlimited": unlimited} {
		b.Run(name, func(b *testing.B) {
			r := openProcfs(b, Options{Budget: budget})
			waitFor(b, r, os.Getpid(), "all connections", func(p Process) bool { return p.Open.Connections[StateEstablished] == 9000 })
			var report Report
			b.ReportAllocs()
			start := processCPUTime()
			for b.Loop() {
				if err := r.Read(context.Background(), &report); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(processCPUTime()-start)/float64(b.N)/1e6, "cpu-ms/op")
			b.ReportMetric(float64(len(r.sockets)), "sockets")
		})
	}
}

func processCPUTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

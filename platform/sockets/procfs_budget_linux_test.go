package sockets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// owned returns the processes in a Report that own the socket of a procCopy. It fails the test if one
// of them does not exist.
func (c *procCopy) owned(report *Report) (pids []int) {
	c.t.Helper()
	for _, p := range report.Processes {
		if !slices.Contains(c.pids, p.PID) {
			c.t.Errorf("got process %d, want one of %v", p.PID, c.pids)
		}
		if len(p.Open.Listeners) > 0 {
			pids = append(pids, p.PID)
		}
		if len(p.Open.Listeners) > 1 || p.Open.Connections[StateListen] != len(p.Open.Listeners) {
			c.t.Errorf("got %+v of process %d, want its own listener only", p.Open, p.PID)
		}
	}
	return pids
}

// sequence returns n numbers from first on.
func sequence(first, n int) (list []int) {
	for i := range n {
		list = append(list, first+i)
	}
	return list
}

// TestProcfsBudget checks that each Read makes progress although its budget is used up: all processes
// are scanned after as many Reads.
func TestProcfsBudget(t *testing.T) {
	const n = 50
	c := newProcCopy(t, sequence(10, n)...)
	r := openProcfs(t, Options{Root: c.root, Budget: 1})
	r.tableBudget.limit = unlimited
	var report Report
	for read := 1; read <= n; read++ {
		if err := r.Read(context.Background(), &report); err != nil {
			t.Fatal(err)
		}
		if got := len(c.owned(&report)); got < read {
			t.Fatalf("got %d owners after %d reads, want one more in each", got, read)
		}
	}
}

// TestProcfsBudgetOfOwner checks that the descriptors of one process are read in parts.
func TestProcfsBudgetOfOwner(t *testing.T) {
	r := openProcfs(t, Options{Budget: 1})
	r.tableBudget.limit = unlimited
	child := startSocketChild(t, nil)
	child.do("pairs 200")
	var report Report
	reads := 0
	testenv.Eventually(t, func() bool {
		reads++
		p, _ := readProcess(t, r, &report, child.cmd.Process.Pid)
		return p.Open.Unix == 400
	})
	if least := 400 / 16; reads < least {
		t.Errorf("got 400 sockets in %d reads, want at least %d", reads, least)
	}
}

// TestProcfsChurn checks that the owners of sockets are found while other processes start and exit
// faster than the budget allows to scan them.
func TestProcfsChurn(t *testing.T) {
	const n, lives, started = 30, 3, 6
	stable := sequence(10, n)
	c := newProcCopy(t)
	r := openProcfs(t, Options{Root: c.root, Budget: 1})
	r.tableBudget.limit = unlimited
	var report Report
	next := 1000
	read := func() {
		t.Helper()
		for range started {
			c.start(next)
			if old := next - lives*started; old >= 1000 {
				c.end(old)
			}
			next++
		}
		if err := r.Read(context.Background(), &report); err != nil {
			t.Fatal(err)
		}
		c.owned(&report)
	}
	for range 2 * lives {
		read()
	}
	for _, pid := range stable { // lower than the processes that a pass has reached
		c.start(pid)
	}
	for range 2 * (n + lives*started) {
		read()
	}
	got := c.owned(&report)
	for _, pid := range stable {
		if !slices.Contains(got, pid) {
			t.Errorf("got no owner %d, want all of %v", pid, stable)
		}
	}
}

// TestProcfsReusedDescriptors checks a process that closes its socket and opens another one with
// the same descriptor, and one that exits and whose PID is reused, between two Reads.
func TestProcfsReusedDescriptors(t *testing.T) {
	c := newProcCopy(t, 10, 11, 12)
	r := openProcfs(t, Options{Root: c.root, Budget: unlimited})
	var report Report
	for step := range 20 {
		pid := 10 + step%3
		c.end(pid)
		if step%2 == 0 {
			c.start(pid) // the directory has another inode
		}
		if err := r.Read(context.Background(), &report); err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(slices.Values(c.pids))
		if got := c.owned(&report); !slices.Equal(got, want) {
			t.Fatalf("step %d: got owners %v, want %v", step, got, want)
		}
		if step%2 != 0 {
			c.start(pid)
		}
	}
	link := filepath.Join(c.root, "11/fd/3")
	for inode := range 5 {
		c.write("tcp", fmt.Sprintf("header\n0: 0100007F:000B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 %d\n", 100+inode))
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(fmt.Sprintf("socket:[%d]", 100+inode), link); err != nil {
			t.Fatal(err)
		}
		if err := r.Read(context.Background(), &report); err != nil {
			t.Fatal(err)
		}
		if got := c.owned(&report); !slices.Equal(got, []int{11}) {
			t.Fatalf("got owners %v, want 11", got)
		}
	}
}

// TestProcfsVerify checks that the phase checked finds, in parts, that a descriptor of a large
// process is another file now, while another process has its socket open. The number of descriptors
// is the same.
func TestProcfsVerify(t *testing.T) {
	l, port := listenTCP(t, "tcp4", "127.0.0.1:0")
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	first, second := startSocketChild(t, []*os.File{file}), startSocketChild(t, []*os.File{file})
	if first.cmd.Process.Pid > second.cmd.Process.Pid { // after the last PID
		first, second = second, first
	}
	second.do("pid")
	first.do("pairs 150")
	high := first.number("dup 3")
	first.do("close 3")
	if err := errors.Join(l.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	r := openProcfs(t, Options{Budget: unlimited})
	owner := func() int {
		for _, s := range r.sockets {
			if s.kind == kindTCP && s.state == StateListen && s.port == port && s.owner != nil {
				return s.owner.pid
			}
		}
		return 0
	}
	waitFor(t, r, first.cmd.Process.Pid, "the owner of the listener", func(p Process) bool { return len(listenersOf(p, TCP, port)) == 1 })
	first.do("replace %d", high)
	r.scans.setBudget(1)
	for range 1000 {
		r.scans.refill()
		r.run(context.Background(), &r.scans.checked, verify, func(p *procfsProcess) bool { return p.pid == first.cmd.Process.Pid })
		if r.assignLost(); owner() == second.cmd.Process.Pid {
			return
		}
	}
	t.Errorf("got owner %d, want %d", owner(), second.cmd.Process.Pid)
}

// TestProcfsReadAllocates checks that a Read allocates nothing if processes and sockets stay the same.
func TestProcfsReadAllocates(t *testing.T) {
	c := newProcCopy(t, sequence(10, 50)...)
	for _, budget := range []time.Duration{unlimited, 1} {
		r := openProcfs(t, Options{Root: c.root, Budget: budget})
		r.tableBudget.limit = unlimited
		var report Report
		read := func() {
			if err := r.Read(context.Background(), &report); err != nil {
				t.Fatal(err)
			}
		}
		for len(c.owned(&report)) < len(c.pids) {
			read()
		}
		for range 3 {
			read()
		}
		// On a busy machine a slow read makes the Reader read the state of its thread, which
		// allocates. The minimum of several tries has only what every read allocates.
		lowest := testing.AllocsPerRun(10, read)
		for try := 0; try < 4 && lowest > 0; try++ {
			lowest = min(lowest, testing.AllocsPerRun(10, read))
		}
		if lowest != 0 {
			t.Errorf("budget %v: got %v allocations, want 0", budget, lowest)
		}
	}
}

// TestProcfsRemoveClosed checks that a socket has no owner after its owner exits, and that the Reader
// removes the sockets of a network namespace without processes.
func TestProcfsRemoveClosed(t *testing.T) {
	const reads = 2
	current, gone := &namespace{seen: reads, read: reads}, &namespace{seen: 1, read: 1}
	r := &procfsReader{reads: reads, sockets: map[uint64]*listedSocket{
		1: {inode: 1, namespace: current, seen: reads, since: 1, owner: &procfsProcess{pid: 7, gone: true}},
		2: {inode: 2, namespace: gone, seen: 1, since: 1},
	}}
	r.removeClosed()
	if s := r.sockets[1]; len(r.sockets) != 1 || s == nil || s.owner != nil || r.unowned != 1 || r.newestUnowned != reads {
		t.Errorf("got sockets %+v, %d without an owner since read %d, want one without an owner since read %d",
			r.sockets, r.unowned, r.newestUnowned, reads)
	}
}

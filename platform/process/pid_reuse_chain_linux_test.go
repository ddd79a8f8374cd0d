package process

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// requireSerial skips the test on kernels before Linux 6.9, which have no serial numbers.
func requireSerial(t *testing.T, p *Process) {
	t.Helper()
	if p.ID().PidfdInode != 0 {
		return
	}
	requireKernel(t, 6, 9)
	t.Fatalf("got no serial number of process %d, want one since Linux 6.9, which has pidfs", p.PID())
}

// requireKernel skips the test on kernels older than a version.
func requireKernel(t *testing.T, major, minor int) {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(name.Release[:])
	var x, y int
	if _, err := fmt.Sscanf(release, "%d.%d", &x, &y); err != nil {
		t.Fatal(err)
	}
	if x < major || x == major && y < minor {
		t.Skipf("requires Linux %d.%d, this is %s", major, minor, release)
	}
}

// TestPIDReuseWithinTick reuses a PID within one clock tick, many times. Each process
// has its own ID, and the previous one is gone. A slow machine needs more attempts for
// a reuse within one tick, so their number is bounded.
func TestPIDReuseWithinTick(t *testing.T) {
	r := testenv.StartPIDReuse(t)
	want := testenv.Rounds(40, 2_000)
	before := r.Do("fresh 0")
	last := openProcess(t, before.PID)
	requireSerial(t, last)
	seen := map[ID]int{last.ID(): before.Number}
	within := 0
	for attempt := 0; within < want && attempt < 20*want; attempt++ {
		now := r.Do("next %d", before.Number%7)
		p := must[*Process](t)(Open(now.PID))
		again := must[*Process](t)(Open(now.PID))
		if p.Equal(last) || p.ID() == last.ID() || !p.Running() || last.Running() {
			t.Fatalf("got %+v (running: %v) after %+v (running: %v), want two IDs and the first process gone",
				p.ID(), p.Running(), last.ID(), last.Running())
		}
		if !p.Equal(again) || p.ID() != again.ID() {
			t.Fatalf("got %+v and %+v for one process, want one ID", p.ID(), again.ID())
		}
		if _, err := last.Name(); !errors.Is(err, ErrGone) {
			t.Fatalf("got error %v of a reaped process, want ErrGone", err)
		}
		if other, found := seen[p.ID()]; found {
			t.Fatalf("got ID %+v for children %d and %d, want two IDs", p.ID(), other, now.Number)
		}
		seen[p.ID()] = now.Number
		if now.Tick == before.Tick {
			if within < 2 {
				wantAllGone(t, last)
			}
			within++
		}
		_, _ = again.Close(), last.Close()
		before, last = now, p
	}
	_ = last.Close()
	t.Logf("%d processes with one PID, %d within the clock tick of the previous one", len(seen), within)
	if within == 0 {
		t.Skip("requires a machine that reuses a PID within a clock tick")
	}
}

// TestPIDReuseChain reads processes while their PID is reused without a pause. All
// values of one Process belong to one process, which has its own ID. It repeats the
// chain until it has read one process completely.
func TestPIDReuseChain(t *testing.T) {
	r := testenv.StartPIDReuse(t)
	count := testenv.Rounds(1_000, 10_000)
	pid := r.Do("next 0").PID
	requireSerial(t, openProcess(t, pid))
	chain := chainReader{ids: make(map[int]ID), children: make(map[ID]int)}
	testenv.Eventually(t, func() bool {
		done := make(chan error, 1)
		go func() {
			_, err := r.Try("chain %d 10", count)
			done <- err
		}()
		for running := true; running; chain.read(t, pid) {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				running = false
			default:
			}
		}
		return chain.complete > 0
	})
	t.Logf("found %d processes and read %d completely", len(chain.ids), chain.complete)
}

// A chainReader records the IDs of the processes that it has read.
type chainReader struct {
	ids      map[int]ID // by the number of the child
	children map[ID]int
	complete int // processes that were read completely
}

// read reads the process that has the PID now.
func (c *chainReader) read(t *testing.T, pid int) {
	t.Helper()
	p, err := Open(pid)
	if errors.Is(err, ErrGone) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	number, complete := readReusedPID(t, p)
	if complete {
		c.complete++
	}
	if number == 0 {
		return
	}
	if id, found := c.ids[number]; found && id != p.ID() {
		t.Errorf("got IDs %+v and %+v of child %d, want one", id, p.ID(), number)
	}
	if other, found := c.children[p.ID()]; found && other != number {
		t.Errorf("got ID %+v for children %d and %d, want two IDs", p.ID(), other, number)
	}
	c.ids[number], c.children[p.ID()] = p.ID(), number
}

// readReusedPID returns the number of a child, or 0 if it is unknown, and whether all
// reads succeeded. A child sets its name last, so the name is read first.
func readReusedPID(t *testing.T, p *Process) (number int, complete bool) {
	t.Helper()
	name, err := p.Name()
	kind, ok := testenv.PIDReuseKind(name)
	var args []string
	var fds int
	var limit Limit
	if err == nil {
		args, err = p.Cmdline()
	}
	if err == nil && len(args) > 0 && ok {
		if fields := strings.Fields(args[0]); len(fields) == 3 && fields[0] == "pidreuse" {
			number, _ = strconv.Atoi(fields[2])
		}
	}
	if err == nil {
		fds, err = p.NumFDs()
	}
	if err == nil {
		limit, err = p.Rlimit(ResourceNoFile)
	}
	if err != nil {
		if !errors.Is(err, ErrGone) && !errors.Is(err, ErrZombie) {
			t.Errorf("got error %v, want none, ErrGone or ErrZombie", err)
		}
		return number, false
	}
	if !ok || len(args) == 0 || fds == 0 { // during its setup or its exit
		return number, false
	}
	want := fmt.Sprintf("pidreuse %d %d", kind, number)
	if args[0] != want || fds != kind+4 || limit.Soft != uint64(1000*(kind+4)) {
		t.Errorf("got name %q, arguments %q, %d descriptors and limit %d, want those of kind %d", name, args, fds, limit.Soft, kind)
	}
	return number, true
}

package process

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/testdata/testenv"
)

// theSerialsAreTold skips the test before Linux 6.9.
func theSerialsAreTold(t *testing.T, p *Process) {
	t.Helper()
	if p.ID().Serial != 0 {
		return
	}
	var name unix.Utsname
	var major, minor int
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	if major > 6 || major == 6 && minor >= 9 {
		t.Fatalf("Linux %d.%d has pidfs, and process %d no serial number", major, minor, p.PID())
	}
	t.Skipf("Linux %d.%d has no pidfs: two processes with one PID within a tick cannot be told apart", major, minor)
}

// TestPIDReuseWithinTick gives a PID from one process to the next within a clock
// tick, again and again. Each is another, and the one before is gone.
func TestPIDReuseWithinTick(t *testing.T) {
	r := testenv.StartPIDReuse(t)
	want := testenv.Rounds(40, 2_000)
	before := r.Do("fresh 0")
	last := openProcess(t, before.PID)
	theSerialsAreTold(t, last)
	seen := map[ID]int{last.ID(): before.Number}
	for within := 0; within < want; {
		now := r.Do("next %d", before.Number%7)
		p, err := Open(now.PID)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Open(now.PID)
		if err != nil {
			t.Fatal(err)
		}
		if p.Equal(last) || p.ID() == last.ID() || !p.Running() || last.Running() {
			t.Fatalf("got %+v (running: %v) after %+v (running: %v)", p.ID(), p.Running(), last.ID(), last.Running())
		}
		if !p.Equal(again) || p.ID() != again.ID() {
			t.Fatalf("got %+v and %+v for one process", p.ID(), again.ID())
		}
		if _, err := last.Name(); !errors.Is(err, ErrGone) {
			t.Fatalf("got error %v of a process that is gone", err)
		}
		if other, found := seen[p.ID()]; found {
			t.Fatalf("births %d and %d have the same ID %+v", other, now.Number, p.ID())
		}
		seen[p.ID()] = now.Number
		if now.Tick == before.Tick {
			if within < 2 {
				wantNoAnswers(t, last)
			}
			within++
		}
		_, _ = again.Close(), last.Close()
		before, last = now, p
	}
	_ = last.Close()
	t.Logf("%d processes with one PID, %d of them within the tick of the one before", len(seen), want)
}

// TestPIDReuseChain reads processes while their PID goes from one to the next
// without a pause. What is read through one Process is of one process, and each
// has an ID of its own.
func TestPIDReuseChain(t *testing.T) {
	r := testenv.StartPIDReuse(t)
	count := testenv.Rounds(1_000, 10_000)
	first := r.Do("next 0")
	p := openProcess(t, first.PID)
	theSerialsAreTold(t, p)
	done := make(chan error, 1)
	go func() {
		_, err := r.Try("chain %d 10", count)
		done <- err
	}()
	births, ids := make(map[int]ID), make(map[ID]int)
	whole := 0
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		p, err := Open(first.PID)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		birth, complete := readRecycled(t, p)
		if complete {
			whole++
		}
		if birth > 0 {
			if id, found := births[birth]; found && id != p.ID() {
				t.Errorf("birth %d has the IDs %+v and %+v", birth, id, p.ID())
			}
			if other, found := ids[p.ID()]; found && other != birth {
				t.Errorf("births %d and %d have the ID %+v", other, birth, p.ID())
			}
			births[birth], ids[p.ID()] = p.ID(), birth
		}
		_ = p.Close()
	}
	t.Logf("met %d of %d processes, and read %d of them whole", len(births), count, whole)
	if whole == 0 {
		t.Error("none was read whole")
	}
}

// readRecycled returns which birth a process is, 0 if that is not to be known, and
// whether all of it was read. The name comes first, which says that the rest is as
// it will be.
func readRecycled(t *testing.T, p *Process) (birth int, complete bool) {
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
		if words := strings.Fields(args[0]); len(words) == 3 && words[0] == "pidreuse" {
			birth, _ = strconv.Atoi(words[2])
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
			t.Errorf("got error %v", err)
		}
		return birth, false
	}
	if !ok || len(args) == 0 || fds == 0 { // on its way in, or out
		return birth, false
	}
	want := fmt.Sprintf("pidreuse %d %d", kind, birth)
	if args[0] != want || fds != kind+4 || limit.Soft != uint64(1000*(kind+4)) {
		t.Errorf("a process called %q has arguments %q, %d files and a limit of %d", name, args, fds, limit.Soft)
	}
	return birth, true
}

//go:build amd64 || arm64

package platform

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/procfs"
)

// chaos makes the tests below do as much as they ever do.
var chaos = os.Getenv("PROCESS_EXPORTER_CHAOS") != ""

// manyOr returns how often to do something.
func manyOr(few, many int) int {
	if chaos {
		return many
	}
	return few
}

// A recycler has children that all have the same PID: see testdata/recycle.
type recycler struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Reader
}

// A recycled is a child of it.
type recycled struct {
	pid    int
	tick   uint64 // of its birth
	births int    // of all children until then
}

var recycleProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(oddDir, "recycle")
	if out, err := exec.Command("cc", "-O2", "-o", path, "../testdata/recycle/recycle.c").CombinedOutput(); err != nil {
		return "", errors.New(string(out) + err.Error())
	}
	return path, nil
})

// startRecycler skips the test where nobody may choose a PID.
func startRecycler(t testing.TB) *recycler {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root chooses PIDs")
	}
	if _, err := exec.LookPath("cc"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("cc is not installed")
	}
	path, err := recycleProgram()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, strings.Repeat("-", 50))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // which ends it, and its child
		_ = cmd.Wait()
		if said.Len() > 0 {
			t.Errorf("recycle said %s", said.String())
		}
	})
	r := &recycler{t, in, bufio.NewReader(out)}
	if line, err := r.out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("recycle said %q: %v", line, err)
	}
	r.does("next 0")
	return r
}

func (r *recycler) does(format string, args ...any) (c recycled) {
	r.t.Helper()
	c, err := r.tries(format, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *recycler) tries(format string, args ...any) (c recycled, err error) {
	if _, err = fmt.Fprintf(r.in, format+"\n", args...); err != nil {
		return c, err
	}
	line, err := r.out.ReadString('\n')
	if err != nil {
		return c, err
	}
	_, err = fmt.Sscan(line, &c.pid, &c.tick, &c.births)
	return c, err
}

// kindNamed returns the kind that a name says, if it is that of a child which has
// become all that it will be.
func kindNamed(comm string) (kind int, ok bool) {
	word, ok := strings.CutPrefix(comm, "kind ")
	if !ok {
		return 0, false
	}
	kind, err := strconv.Atoi(word)
	return kind, err == nil
}

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

// TestRecycledWithinTick gives a PID from one process to the next within a clock
// tick, again and again. Each is another, and the one before is gone.
func TestRecycledWithinTick(t *testing.T) {
	r := startRecycler(t)
	want := manyOr(40, 2_000)
	before := r.does("fresh 0")
	last := openProcess(t, before.pid)
	theSerialsAreTold(t, last)
	seen := map[ID]int{last.ID(): before.births}
	for within := 0; within < want; {
		now := r.does("next %d", before.births%7)
		p, err := OpenProcess(now.pid)
		if err != nil {
			t.Fatal(err)
		}
		again, err := OpenProcess(now.pid)
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
			t.Fatalf("births %d and %d have the same ID %+v", other, now.births, p.ID())
		}
		seen[p.ID()] = now.births
		if now.tick == before.tick {
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

// TestRecycledChain reads processes while their PID goes from one to the next
// without a pause. What is read through one Process is of one process, and each
// has an ID of its own.
func TestRecycledChain(t *testing.T) {
	r := startRecycler(t)
	count := manyOr(1_000, 10_000)
	first := r.does("next 0")
	p := openProcess(t, first.pid)
	theSerialsAreTold(t, p)
	done := make(chan error, 1)
	go func() {
		_, err := r.tries("chain %d 10", count)
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
		p, err := OpenProcess(first.pid)
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
	kind, ok := kindNamed(name)
	var args []string
	var fds int
	var limit Limit
	if err == nil {
		args, err = p.Cmdline()
	}
	if err == nil && len(args) > 0 && ok {
		if words := strings.Fields(args[0]); len(words) == 3 && words[0] == "recycled" {
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
	want := fmt.Sprintf("recycled %d %d", kind, birth)
	if args[0] != want || fds != kind+4 || limit.Soft != uint64(1000*(kind+4)) {
		t.Errorf("a process called %q has arguments %q, %d files and a limit of %d", name, args, fds, limit.Soft)
	}
	return birth, true
}

// walkSources runs a test with each Source.
func walkSources(t *testing.T, test func(t *testing.T, src Source)) {
	t.Run("procfs", func(t *testing.T) { test(t, openSource(t, "/proc")) })
	t.Run("bpf", func(t *testing.T) { test(t, openKernelSource(t)) })
}

// TestWalksOfRecycled gives a PID from one process to the next between two walks
// that both come within the clock tick in which both processes were born. The
// second walk tells of another process, and of nothing that the first had.
func TestWalksOfRecycled(t *testing.T) {
	walkSources(t, func(t *testing.T, src Source) {
		r := startRecycler(t)
		want := manyOr(20, 2_000)
		var snap Snapshot
		look := func(pid int) Sample {
			walk(t, src, &snap, lean)
			at := snap.Index(pid)
			if at < 0 {
				t.Fatalf("process %d is missing", pid)
			}
			return snap.Samples[at]
		}
		within, tries := 0, 0
		for end := time.Now().Add(20 * time.Second); within < want; tries++ {
			if !chaos && time.Now().After(end) {
				break // on a busy machine
			}
			kind := tries % 7
			old := r.does("fresh %d", kind+2)
			before := look(old.pid)
			now := r.does("next %d", kind)
			if now.tick != old.tick {
				continue
			}
			within++
			after := look(now.pid)
			if after.ID == before.ID || after.Start != before.Start {
				t.Fatalf("got %+v after %+v", after.ID, before.ID)
			}
			id, err := src.Identify(context.Background(), &after, IdentityArgs)
			title := fmt.Sprintf("recycled %d %d", kind, now.births)
			if err != nil || len(id.Args) != 1 || id.Args[0] != title {
				t.Fatalf("got arguments %q and error %v, want %q", id.Args, err, title)
			}
			if after.Comm != fmt.Sprintf("kind %d", kind) || after.FDs != uint64(kind+4) || after.FDLimit != uint64(1000*(kind+4)) {
				t.Fatalf("got %+v, want kind %d", after, kind)
			}
			for range 2 {
				if again := look(now.pid); again.ID != after.ID {
					t.Fatalf("got %+v for what was %+v", again.ID, after.ID)
				}
			}
		}
		t.Logf("%d of %d came within the tick", within, tries)
		if within == 0 {
			t.Skip("this machine is too slow for two walks within a tick")
		}
	})
}

// TestWalksOfRecycledChain walks while a PID goes from one process to the next. What
// a Sample tells is of one of them.
func TestWalksOfRecycledChain(t *testing.T) {
	walkSources(t, func(t *testing.T, src Source) {
		r := startRecycler(t)
		count := manyOr(1_000, 10_000)
		pid := r.does("next 0").pid
		done := make(chan error, 1)
		go func() {
			_, err := r.tries("chain %d 10", count)
			done <- err
		}()
		var snap Snapshot
		walks, whole := 0, 0
		for running := true; running; walks++ {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				running = false
			default:
			}
			walk(t, src, &snap, lean)
			at := snap.Index(pid)
			if at < 0 || !running { // the last one lives on
				continue
			}
			s := &snap.Samples[at]
			const parts = FieldFDs | FieldFDLimit
			kind, ok := kindNamed(s.Comm)
			if !ok || s.Have&parts != parts || s.State == 'Z' || s.FDs == 0 { // it has closed them
				continue
			}
			whole++
			if s.FDs != uint64(kind+4) || s.FDLimit != uint64(1000*(kind+4)) {
				t.Errorf("got %+v, want kind %d", s, kind)
			}
		}
		t.Logf("%d walks met %d of %d processes whole", walks, whole, count)
		if whole == 0 {
			t.Skip("this machine is too slow")
		}
	})
}

// TestListedInodes finds for each process the inode of its directory, as long as
// it lives.
func TestListedInodes(t *testing.T) {
	r := startRecycler(t)
	mount, err := procfs.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer mount.Close()
	reader := procfs.NewReader(mount)
	inode := func(pid int) (inode uint64) {
		listed, err := reader.AppendProcesses(nil)
		if err != nil {
			t.Fatal(err)
		}
		pids, err := reader.AppendPIDs(nil)
		if err != nil || len(pids) == 0 {
			t.Fatal(pids, err)
		}
		for _, e := range listed {
			if e.PID == pid {
				inode = e.Inode
			}
		}
		return inode
	}
	c := r.does("next 1")
	first := inode(c.pid)
	if again := inode(c.pid); again != first || first == 0 {
		t.Errorf("got inodes %d and %d of one process", first, again)
	}
	if second := inode(r.does("next 1").pid); second == first {
		t.Errorf("got inode %d of two processes", first)
	}
}

//go:build amd64 || arm64

package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// load loads the programs, or skips the test where they cannot be. In CI, where
// root runs the tests, that is a failure unless the kernel lacks what it takes.
func load(t *testing.T, o Options) *Programs {
	t.Helper()
	p, err := Load(o)
	if err != nil {
		_, noTypes := os.Stat("/sys/kernel/btf/vmlinux")
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 && noTypes == nil {
			t.Fatalf("%+v", err)
		}
		t.Skipf("no programs can be loaded here: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func nameOf(raw [16]int8) string {
	var name []byte
	for _, c := range raw {
		if c == 0 {
			break
		}
		name = append(name, byte(c))
	}
	return string(name)
}

// TestTasks finds ourselves with all our threads, and everyone in order.
func TestTasks(t *testing.T) {
	p := load(t, Options{})
	runtime.LockOSThread() // which lives through the test
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var s Scanner
	for range 2 { // the second time in used memory
		if err := p.Tasks(&s); err != nil {
			t.Fatal(err)
		}
		var own *Process
		var threads []int
		last := int32(0)
		for s.Scan() {
			if q := s.Process(); q != nil {
				if q.Pid <= last {
					t.Errorf("process %d comes after %d", q.Pid, last)
				}
				if last = q.Pid; int(q.Pid) == os.Getpid() {
					found := *q
					own = &found
				}
			} else if th := s.Thread(); int(th.Pid) == os.Getpid() {
				threads = append(threads, int(th.Tid))
			}
		}
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		if own == nil {
			t.Fatal("we are not among the processes")
		}
		if own.Ppid != int32(os.Getppid()) || own.Uid != uint32(os.Geteuid()) || own.FdLimit != limit.Cur || own.HasMm != 1 {
			t.Errorf("got parent %d, user %d, limit %d: %+v", own.Ppid, own.Uid, own.FdLimit, own)
		}
		if comm, err := os.ReadFile("/proc/self/comm"); err != nil || nameOf(own.Comm) != strings.TrimSpace(string(comm)) {
			t.Errorf("got the name %q, want %q (%v)", nameOf(own.Comm), comm, err)
		}
		if own.RssAnon == 0 || own.RssFile == 0 || own.Virt < own.RssAnon+own.RssFile || own.Usage.Runtime == 0 || own.Usage.MinorFaults == 0 {
			t.Errorf("got no memory or no use of the CPU: %+v", own)
		}
		if !slices.Contains(threads, unix.Gettid()) || len(threads) != int(own.Threads) {
			t.Errorf("got threads %v, want %d with %d", threads, own.Threads, unix.Gettid())
		}
	}
}

// TestManyFiles counts more open files than one read of the bitmap holds.
func TestManyFiles(t *testing.T) {
	p := load(t, Options{})
	fds := func() (n int) {
		var s Scanner
		if err := p.Tasks(&s); err != nil {
			t.Fatal(err)
		}
		for s.Scan() {
			if q := s.Process(); q != nil && int(q.Pid) == os.Getpid() {
				n = int(q.Fds)
			}
		}
		return n
	}
	before := fds()
	const more = 1500
	for range more {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if got := fds() - before; got != more {
		t.Errorf("got %d more files, want %d", got, more)
	}
}

// An end is what the events say of one process.
type end struct {
	args  []string
	freed *Freed
}

// endOf runs a program and waits for the events of its end.
func endOf(t *testing.T, p *Programs, name string, args ...string) end {
	t.Helper()
	command := exec.Command(name, args...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var status *exec.ExitError
	if err := command.Wait(); err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	var got end
	var tgid uint32
	var batch Batch
	for deadline := time.Now().Add(20 * time.Second); got.freed == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no event tells of the end of process %d", command.Process.Pid)
		}
		var err error
		if batch, err = p.Events().Take(batch); err != nil {
			t.Fatal(err)
		}
		for batch.Next() {
			if w := batch.Words(); w != nil && int(w.Pid) == command.Process.Pid && w.ArgsLen > 0 {
				raw := make([]byte, w.ArgsLen)
				for i := range raw {
					raw[i] = byte(w.Args[i])
				}
				got.args = strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00")
				tgid = w.Tgid
			}
			if f := batch.Freed(); f != nil && f.Tgid == tgid && tgid != 0 {
				freed := *f
				got.freed = &freed
			}
		}
	}
	return got
}

// TestEnds reads how processes end, with the programs for kernels old and new.
func TestEnds(t *testing.T) {
	tests := []struct {
		script string
		status uint32
	}{
		{"exit 0", 0},
		{"exit 7", 7 << 8},
		{"kill -KILL $$", 9},
		{"kill -TERM $$", 15},
		{"ulimit -c 0; kill -SEGV $$", 11},
	}
	for _, old := range []bool{false, true} {
		t.Run("old="+strconv.FormatBool(old), func(t *testing.T) {
			p := load(t, Options{OldExits: old})
			for _, tt := range tests {
				got := endOf(t, p, "sh", "-c", tt.script, "name")
				if want := []string{"sh", "-c", tt.script, "name"}; !slices.Equal(got.args, want) {
					t.Errorf("got arguments %q, want %q", got.args, want)
				}
				if got.freed.ExitCode != tt.status {
					t.Errorf("%s: got status %#x, want %#x", tt.script, got.freed.ExitCode, tt.status)
				}
				if got.freed.OomKilled != 0 || got.freed.PeakRss == 0 || got.freed.Usage.Runtime == 0 {
					t.Errorf("got %+v", got.freed)
				}
			}
			long := strings.Repeat("x", 3000)
			if got := endOf(t, p, "sh", "-c", "exit 0", long); len(got.args) != 4 || got.args[3] != long[:len(got.args[3])] || len(got.args[3]) < 2000 {
				t.Errorf("got %d arguments of a long command line, want the last one cut", len(got.args))
			}
		})
	}
}

// TestFinalCounters of a process are what its parent is told by the kernel.
func TestFinalCounters(t *testing.T) {
	p := load(t, Options{})
	command := []string{"-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; (i=0; while [ $i -lt 5000 ]; do i=$((i+1)); done)"}
	var before, after unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &before); err != nil {
		t.Fatal(err)
	}
	got := endOf(t, p, "sh", append(command, "counted")...)
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &after); err != nil {
		t.Fatal(err)
	}
	charged := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	// The child of the shell is another process: only what the shell itself
	// has used is compared, which is most of it and never more.
	if used := int64(got.freed.Usage.Runtime); used > charged || used < charged/2 {
		t.Errorf("got %d ns of CPU time, want a little less than %d", used, charged)
	}
	if faults := after.Minflt - before.Minflt; int64(got.freed.Usage.MinorFaults) > faults {
		t.Errorf("got %d faults of at most %d", got.freed.Usage.MinorFaults, faults)
	}
}

// TestHeldEvents says that somebody should come when many events wait, and
// stops reading when nobody does.
func TestHeldEvents(t *testing.T) {
	e := &Events{ready: make(chan struct{}, 1)}
	e.room.L, e.flushed.L = &e.mu, &e.mu
	record := make([]byte, 1000)
	for len(e.held) <= maxHeld/2 {
		select {
		case <-e.ready:
			t.Fatalf("asks for help with %d bytes", len(e.held))
		default:
		}
		e.hold(record)
	}
	select {
	case <-e.ready:
	default:
		t.Errorf("does not ask for help with %d bytes", len(e.held))
	}
	for len(e.held) <= maxHeld {
		e.hold(record)
	}
	done := make(chan struct{})
	go func() {
		e.mu.Lock()
		e.hold(record) // waits
		e.mu.Unlock()
		close(done)
	}()
	<-e.ready
	select {
	case <-done:
		t.Fatal("holds more than it may")
	default:
	}
	e.mu.Lock()
	e.held = e.held[:0]
	e.room.Broadcast()
	e.mu.Unlock()
	<-done
}

// TestRefused says in one line what the kernel has refused, and in detail what its
// verifier said.
func TestRefused(t *testing.T) {
	load(t, Options{})
	spec, err := loadTasks()
	if err != nil {
		t.Fatal(err)
	}
	spec.Programs["process_freed"].Instructions = asm.Instructions{asm.LoadMem(asm.R0, asm.R9, 0, asm.DWord), asm.Return()}
	p, err := loadSpec(spec, Options{})
	var refused *RefusedError
	if !errors.As(err, &refused) {
		if err == nil {
			p.Close()
		}
		t.Fatalf("got error %v, want one of the verifier", err)
	}
	if IsDenied(err) {
		t.Errorf("%v does not say that a capability is missing", err)
	}
	if line := err.Error(); !strings.Contains(line, "process_freed") || strings.Contains(line, "\n") {
		t.Errorf("got %q, want one line that names the program", line)
	}
	if long := refused.Detail(); !strings.Contains(long, "R9 !read_ok") || strings.Count(long, "\n") < 2 {
		t.Errorf("got %q, want what the verifier said", long)
	}
}

// TestOldKernel names the version that it takes where the verifier does not know
// a function of the programs.
func TestOldKernel(t *testing.T) {
	unknown := fmt.Errorf("program tell_tasks: %w", &ebpf.VerifierError{Cause: syscall.EINVAL, Log: []string{"invalid func unknown#181"}})
	err := explain(unknown, func() error { return fmt.Errorf("bpf_loop: %w", ebpf.ErrNotSupported) })
	if !errors.Is(err, ebpf.ErrNotSupported) || !strings.Contains(err.Error(), "5.17") || strings.Contains(err.Error(), "\n") || IsDenied(err) {
		t.Errorf("got %q, want one line that names the version", err)
	}
	load(t, Options{})
	if err := haveLoops(); err != nil {
		t.Errorf("got %v of a kernel that loads the programs", err)
	}
}

// TestGenerated compiles the programs anew, and loads what comes of it.
func TestGenerated(t *testing.T) {
	for _, tool := range []string{"clang", "llvm-strip"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	load(t, Options{})
	dir := t.TempDir()
	compile := exec.Command("clang", "-O2", "-g", "-Wall", "-Werror", "-target", "bpfel", "-c", "tasks.bpf.c", "-o", filepath.Join(dir, "tasks.o"))
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fresh, err := ebpf.LoadCollectionSpec(filepath.Join(dir, "tasks.o"))
	if err != nil {
		t.Fatal(err)
	}
	committed, err := loadTasks()
	if err != nil {
		t.Fatal(err)
	}
	for name, program := range committed.Programs {
		other := fresh.Programs[name]
		if other == nil {
			t.Errorf("there is no program %s any more", name)
			continue
		}
		var a, b bytes.Buffer
		if err := errors.Join(program.Instructions.Marshal(&a, program.ByteOrder), other.Instructions.Marshal(&b, other.ByteOrder)); err == nil && !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Logf("%s differs, as it does with another version of clang", name)
		}
	}
	if err := setNamespace(fresh); err != nil {
		t.Fatal(err)
	}
	collection, err := ebpf.NewCollection(fresh)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	collection.Close()
}

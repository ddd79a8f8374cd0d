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
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// loadOrSkip loads the programs, or skips the test if it cannot.
func loadOrSkip(t *testing.T, o Options) *Programs {
	t.Helper()
	p, err := Load(o)
	if err != nil {
		testenv.SkipWithoutBPF(t, err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func comm(raw [16]int8) string {
	var name []byte
	for _, c := range raw {
		if c == 0 {
			break
		}
		name = append(name, byte(c))
	}
	return string(name)
}

// scanOwn scans all tasks and returns the own process and the TIDs of its threads. It checks
// the order of the PIDs.
func scanOwn(t *testing.T, p *Programs, s *Scanner) (own *Process, threads []int) {
	t.Helper()
	if err := p.ScanTasks(s); err != nil {
		t.Fatal(err)
	}
	last := int32(0)
	for s.Scan() {
		q := s.Process()
		if q == nil {
			if th := s.Thread(); int(th.Pid) == os.Getpid() {
				threads = append(threads, int(th.Tid))
			}
			continue
		}
		if q.Pid <= last {
			t.Errorf("got process %d after %d, want ascending PIDs", q.Pid, last)
		}
		if last = q.Pid; int(q.Pid) == os.Getpid() {
			found := *q
			own = &found
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if own == nil {
		t.Fatal("own process not found")
	}
	return own, threads
}

// TestScanTasks finds the own process with all its threads, and all PIDs in order.
func TestScanTasks(t *testing.T) {
	p := loadOrSkip(t, Options{})
	runtime.LockOSThread() // this thread exists during the whole test
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var s Scanner
	for range 2 { // the second iteration reuses memory
		var own *Process
		var threads []int
		testenv.Eventually(t, func() bool { // the Go runtime may start a thread during the scan
			own, threads = scanOwn(t, p, &s)
			return len(threads) == int(own.Threads)
		})
		if own.Ppid != int32(os.Getppid()) || own.Uid != uint32(os.Geteuid()) || own.FdLimit != limit.Cur || own.HasMm != 1 {
			t.Errorf("got parent %d, user %d, limit %d, want %d, %d, %d: %+v",
				own.Ppid, own.Uid, own.FdLimit, os.Getppid(), os.Geteuid(), limit.Cur, own)
		}
		if text, err := os.ReadFile("/proc/self/comm"); err != nil || comm(own.Comm) != strings.TrimSpace(string(text)) {
			t.Errorf("got comm %q, want %q (%v)", comm(own.Comm), text, err)
		}
		memory := own.ResidentPages() > 0 && own.Virt > own.ResidentPages()
		if !memory || own.Usage.Runtime == 0 || own.Usage.MinorFaults == 0 {
			t.Errorf("got %+v, want memory and CPU time", own)
		}
		if !slices.Contains(threads, unix.Gettid()) {
			t.Errorf("got threads %v, want threads that include %d", threads, unix.Gettid())
		}
	}
}

// TestResidentPages compares the resident memory of a sleeping process with statm. The
// program reads the parts that each CPU has of all counters at once, or of each counter.
func TestResidentPages(t *testing.T) {
	command := exec.Command("sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = command.Process.Kill(); _ = command.Wait() }()
	statm := func() (size, resident uint64) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", command.Process.Pid))
		if _, scanErr := fmt.Sscan(string(text), &size, &resident); err != nil || scanErr != nil {
			t.Fatalf("statm: %v, %q", err, text)
		}
		return size, resident
	}
	for _, separate := range []bool{false, true} {
		t.Run("separate="+strconv.FormatBool(separate), func(t *testing.T) {
			p := loadOrSkip(t, Options{SeparateCounters: separate})
			var s Scanner
			var got, want [2]uint64
			testenv.Eventually(t, func() bool { // it may still start
				want[0], want[1] = statm()
				if err := p.ScanTasks(&s); err != nil {
					t.Fatal(err)
				}
				for s.Scan() {
					if q := s.Process(); q != nil && int(q.Pid) == command.Process.Pid {
						got = [2]uint64{q.Virt, q.ResidentPages()}
					}
				}
				t.Logf("got %d virtual and resident pages, want %d", got, want)
				return got == want
			})
		})
	}
}

// TestSwapPages checks that a negative counter, of which a part is on another CPU, counts as 0.
func TestSwapPages(t *testing.T) {
	for counter, want := range map[int64]uint64{5: 5, -1: 0} {
		var p Process
		p.Rss[2] = counter // MM_SWAPENTS
		if got := p.SwapPages(); got != want || p.ResidentPages() != 0 {
			t.Errorf("got %d swapped and %d resident pages for the counter %d, want %d and 0", got, p.ResidentPages(), counter, want)
		}
	}
}

// TestFileSystemType finds the mount of a file in texts of /proc/self/mountinfo.
func TestFileSystemType(t *testing.T) {
	const root, sys = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n", "22 1 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
	for _, tt := range []struct{ name, text, want string }{
		{"no mounts", "", ""},
		{"incomplete line", "22 1 0:21 / /sys", ""},
		{"only the root", root, "ext4"},
		{"sysfs", root + sys, "sysfs"},
		{"sysfs before the root", sys + root, "sysfs"},
		{"other directories", root + sys + "23 22 0:22 / /sys/dev rw - tmpfs tmpfs rw\n24 1 0:23 / /sy rw - tmpfs tmpfs rw\n", "sysfs"},
		{"LXCFS over the directory", root + sys + "25 22 0:24 /sys /sys/devices/system/cpu rw - fuse.lxcfs lxcfs rw\n", "fuse.lxcfs"},
		{"LXCFS over the file", root + sys + "25 22 0:24 /x " + cpuFile + " rw - fuse.lxcfs lxcfs rw\n", "fuse.lxcfs"},
		{"a second mount at one place", root + sys + "26 22 0:25 / /sys rw - tmpfs tmpfs rw\n", "tmpfs"},
	} {
		if got := fileSystemType(tt.text, cpuFile); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestHasPerCPUCounters checks the RSS counters of several kernels.
func TestHasPerCPUCounters(t *testing.T) {
	structOf := func(members ...btf.Member) *btf.Struct { return &btf.Struct{Members: members} }
	long := &btf.Int{Name: "long", Size: 8}
	array := func(element btf.Type) btf.Type { return &btf.Array{Type: element, Nelems: 4} }
	count, parts := btf.Member{Name: "count", Type: long}, btf.Member{Name: "counters", Type: &btf.Pointer{Target: long}}
	for _, tt := range []struct {
		name string
		rss  btf.Type
		want bool
	}{
		{"6.2", array(structOf(count, parts)), true},
		{"6.2 with a typedef", array(&btf.Typedef{Name: "counter", Type: structOf(count, parts)}), true},
		{"6.2 without CONFIG_SMP", array(structOf(count)), false},
		{"6.1", structOf(btf.Member{Name: "count", Type: array(long)}), false},
	} {
		inner := structOf(btf.Member{Name: "total_vm", Type: long}, btf.Member{Name: "rss_stat", Type: tt.rss})
		if got := hasPerCPUCounters(structOf(btf.Member{Type: inner})); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if hasPerCPUCounters(structOf(count)) {
		t.Error("got true without rss_stat, want false")
	}
}

// TestManyFDs counts more open file descriptors than one read of the bitmap covers, and one
// with a number beyond one call of each function that counts.
func TestManyFDs(t *testing.T) {
	p := loadOrSkip(t, Options{})
	fds := func() (n int) {
		var s Scanner
		if err := p.ScanTasks(&s); err != nil {
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
	var last *os.File
	for range more {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		last = f
	}
	if got := fds() - before; got != more {
		t.Errorf("got %d more file descriptors, want %d", got, more)
	}
	const high = 17_000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur <= high {
		t.Skipf("the limit of open files is %d (%v), want more than %d", limit.Cur, err, high)
	}
	if err := unix.Dup3(int(last.Fd()), high, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(high)
	if got := fds() - before; got != more+1 {
		t.Errorf("got %d more file descriptors, want %d", got, more+1)
	}
}

// An exitReport is the content of the exit events of one process, and its usage as
// wait4(2) returns it.
type exitReport struct {
	args  []string
	free  *ReapedRecord
	usage *syscall.Rusage
}

// runToExit runs a program and waits for its exit events. If no ReapedRecord arrives, which the
// bpf source replaces by the identity record, it runs the program again. The kernel frees tasks in
// softirqs, on any thread. That of some virtual machines runs no BPF programs in the softirqs on
// threads of their guest agent, and does not count these runs as skipped.
func runToExit(t *testing.T, p *Programs, name string, args ...string) exitReport {
	t.Helper()
	for range 2 {
		command := exec.Command(name, args...)
		var status *exec.ExitError
		if err := command.Run(); err != nil && !errors.As(err, &status) {
			t.Fatal(err)
		}
		got := readExit(t, p, command.Process.Pid)
		if got.free != nil {
			got.usage = command.ProcessState.SysUsage().(*syscall.Rusage)
			return got
		}
		lost, err := p.LostEvents()
		skipped, _ := p.collection.Programs["process_freed"].Stats()
		t.Logf("process %d: got no ReapedRecord, arguments %q; %d lost events (%v), skipped %+v",
			command.Process.Pid, got.args, lost, err, skipped)
		if got.args == nil {
			break
		}
	}
	t.Fatal("got no exit event")
	return exitReport{}
}

// readExit reads events until the ReapedRecord of a process, for at most 20 seconds.
func readExit(t *testing.T, p *Programs, pid int) (got exitReport) {
	t.Helper()
	var tgid uint32
	var batch Batch
	for deadline := time.Now().Add(20 * time.Second); got.free == nil && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var err error
		if batch, err = p.Events().Take(batch); err != nil {
			t.Fatal(err)
		}
		for batch.Next() {
			if r := batch.IdentityRecord(); r != nil && int(r.Pid) == pid && r.ArgsLen > 0 {
				raw := make([]byte, r.ArgsLen)
				for i := range raw {
					raw[i] = byte(r.Args[i])
				}
				got.args = strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00")
				tgid = r.Tgid
			}
			if f := batch.ReapedRecord(); f != nil && f.Tgid == tgid && tgid != 0 {
				free := *f
				got.free = &free
			}
		}
	}
	return got
}

// TestExitEvents reads exit statuses with the programs for old and for new kernels.
func TestExitEvents(t *testing.T) {
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
	for _, legacy := range []bool{false, true} {
		t.Run("legacy="+strconv.FormatBool(legacy), func(t *testing.T) {
			p := loadOrSkip(t, Options{LegacyExits: legacy})
			for _, tt := range tests {
				got := runToExit(t, p, "sh", "-c", tt.script, "name")
				if want := []string{"sh", "-c", tt.script, "name"}; !slices.Equal(got.args, want) {
					t.Errorf("got arguments %q, want %q", got.args, want)
				}
				if got.free.ExitCode != tt.status {
					t.Errorf("%s: got status %#x, want %#x", tt.script, got.free.ExitCode, tt.status)
				}
				if got.free.OomKilled != 0 || got.free.PeakRss == 0 || got.free.Usage.Runtime == 0 {
					t.Errorf("got %+v, want memory, CPU time and no OOM kill", got.free)
				}
			}
			long := strings.Repeat("x", 3000)
			got := runToExit(t, p, "sh", "-c", "exit 0", long)
			if len(got.args) != 4 || got.args[3] != long[:len(got.args[3])] || len(got.args[3]) < 2000 {
				t.Errorf("got %d arguments of a long command line, want 4 with the last one truncated", len(got.args))
			}
		})
	}
}

// TestFinalCounters compares the final counters of a process with the usage that wait4(2) reports
// to its parent.
func TestFinalCounters(t *testing.T) {
	p := loadOrSkip(t, Options{})
	command := []string{"-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; (i=0; while [ $i -lt 5000 ]; do i=$((i+1)); done)"}
	got := runToExit(t, p, "sh", append(command, "counted")...)
	charged := got.usage.Utime.Nano() + got.usage.Stime.Nano()
	// wait4 includes the child of the shell, whose share is less than half. It rounds
	// user and system time down to microseconds.
	if used := int64(got.free.Usage.Runtime); used > charged+2000 || used < charged/2 {
		t.Errorf("got %d ns of CPU time, want between half of %d ns and all of it", used, charged)
	}
	if faults := got.usage.Minflt; int64(got.free.Usage.MinorFaults) > faults {
		t.Errorf("got %d faults, want at most %d", got.free.Usage.MinorFaults, faults)
	}
}

// TestPendingEventsLimit checks that Ready receives when many events are pending, and that
// reading stops when nothing takes them.
func TestPendingEventsLimit(t *testing.T) {
	e := newEvents()
	record := make([]byte, 1000)
	for len(e.pending) <= maxPending/2 {
		select {
		case <-e.Ready():
			t.Fatalf("Ready receives with %d bytes pending, want nothing", len(e.pending))
		default:
		}
		e.add(record)
	}
	select {
	case <-e.Ready():
	default:
		t.Errorf("Ready does not receive with %d bytes pending", len(e.pending))
	}
	for len(e.pending) <= maxPending {
		e.add(record)
	}
	done := make(chan struct{})
	go func() {
		e.mu.Lock()
		e.add(record) // blocks
		e.mu.Unlock()
		close(done)
	}()
	<-e.Ready()
	select {
	case <-done:
		t.Fatal("add did not block above the limit")
	default:
	}
	e.mu.Lock()
	e.pending = e.pending[:0]
	e.drained.Broadcast()
	e.mu.Unlock()
	<-done
}

// TestRejectedProgram checks the message of a verifier error, which is one line, and its
// detail, which is the verifier log.
func TestRejectedProgram(t *testing.T) {
	loadOrSkip(t, Options{})
	spec, err := loadTasks()
	if err != nil {
		t.Fatal(err)
	}
	spec.Programs["process_freed"].Instructions = asm.Instructions{asm.LoadMem(asm.R0, asm.R9, 0, asm.DWord), asm.Return()}
	p, err := loadSpec(spec, Options{})
	var rejected *RejectedError
	if !errors.As(err, &rejected) {
		if err == nil {
			p.Close()
		}
		t.Fatalf("got error %v, want a RejectedError", err)
	}
	if IsDenied(err) {
		t.Errorf("IsDenied(%v): got true, want false", err)
	}
	if line := err.Error(); !strings.Contains(line, "process_freed") || strings.Contains(line, "\n") {
		t.Errorf("got %q, want one line with the program name", line)
	}
	if long := rejected.Detail(); !strings.Contains(long, "R9 !read_ok") || strings.Count(long, "\n") < 2 {
		t.Errorf("got %q, want the verifier log", long)
	}
}

// TestGenerated compiles the programs and loads the result.
func TestGenerated(t *testing.T) {
	for _, tool := range []string{"clang", "llvm-strip"} {
		testenv.RequireProgram(t, tool)
	}
	loadOrSkip(t, Options{})
	dir := t.TempDir()
	compile := exec.Command("clang", "-O2", "-g", "-Wall", "-Werror", "-target", "bpfel",
		"-c", "tasks.bpf.c", "-o", filepath.Join(dir, "tasks.o"))
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
			t.Errorf("program %s is missing in the compiled object", name)
			continue
		}
		var a, b bytes.Buffer
		err := errors.Join(program.Instructions.Marshal(&a, program.ByteOrder), other.Instructions.Marshal(&b, other.ByteOrder))
		if err == nil && !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Logf("program %s differs from the committed object; expected with another version of clang", name)
		}
	}
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := ownNamespace(kernel)
	if err != nil {
		t.Fatal(err)
	}
	if err := setConstants(fresh, kernel, ns, Options{}); err != nil {
		t.Fatal(err)
	}
	collection, err := ebpf.NewCollection(fresh)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	collection.Close()
}

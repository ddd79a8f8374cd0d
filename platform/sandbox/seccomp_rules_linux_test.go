//go:build amd64 || arm64

package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed57308aee/process_exporter/test/testenv"
)

// Results of a system call in the sandbox.
const (
	resultPermitted = "permitted"
	resultRefused   = "refused"
	resultUnknown   = "ENOSYS"
)

// lastCall is the highest number that callEverything uses.
const lastCall = firstUnknownCall + 50

// terminalCalls end the thread or its signal handler: they cannot be made in a test.
// The last two are uretprobe and uprobe of amd64, which the kernel does not filter.
// They send SIGILL to a caller that is not a trampoline of a probe.
var terminalCalls = []uintptr{unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_RT_SIGRETURN, 335, 336}

// callEverything enters the sandbox, makes each system call with all arguments -1,
// prints the results and exits. With these arguments, no permitted call has an effect or
// fails with EPERM.
func callEverything() {
	entered := Enter(Options{})
	if !slices.Contains(entered.Layers, "seccomp") {
		fmt.Fprintln(os.Stderr, entered.Unavailable)
		os.Exit(1)
	}
	runtime.LockOSThread()
	results := make(map[uintptr]string)
	for call := uintptr(0); call <= lastCall; call++ {
		if slices.Contains(terminalCalls, call) {
			continue
		}
		switch _, _, errno := unix.RawSyscall6(call, badFD, badFD, badFD, badFD, badFD, badFD); errno {
		case unix.EPERM:
			results[call] = resultRefused
		case unix.ENOSYS:
			results[call] = resultUnknown
		default:
			results[call] = resultPermitted
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(childReport{Calls: results})
	os.Exit(0)
}

// holds reports whether the check permits an argument of -1.
func (c check) holds() bool {
	value, mask := ^uint32(0), c.mask
	if mask == 0 {
		mask = ^uint32(0)
	}
	if c.above {
		return value > c.values[0]
	}
	return slices.Contains(c.values, value&mask) != c.none
}

// TestEveryCall makes every system call in the sandbox. Calls of the rules are permitted,
// and all others are refused.
func TestEveryCall(t *testing.T) {
	want := make(map[uintptr]string)
	for call := uintptr(0); call <= lastCall; call++ {
		want[call] = resultRefused
		if call >= firstUnknownCall || slices.Contains(replacedCalls, call) {
			want[call] = resultUnknown
		}
	}
	for _, r := range permitted(nil) {
		if !slices.ContainsFunc(r.checks, func(c check) bool { return !c.holds() }) {
			want[r.call] = resultPermitted
		}
	}
	r := runChild(t, modeEvery, nil)
	for call := uintptr(0); call <= lastCall; call++ {
		if got := r.Calls[call]; got != want[call] && !slices.Contains(terminalCalls, call) {
			t.Errorf("system call %d: got %q, want %q", call, got, want[call])
		}
	}
}

// neverAfterStart are the system calls that the Go runtime makes only in its
// initialization or on Android, with the reason that the sandbox refuses them.
var neverAfterStart = map[uintptr]string{
	unix.SYS_SOCKET:  "logging on Android",
	unix.SYS_CONNECT: "logging on Android",
	unix.SYS_PIPE2:   "tests of the runtime",
	unix.SYS_MINCORE: "page size, without an auxiliary vector",
}

// TestRuntimeCalls compares the system calls in the source of the Go runtime with
// the rules. If a new version of Go makes another call, decide here whether the
// daemon needs it.
func TestRuntimeCalls(t *testing.T) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(strings.TrimSpace(string(goroot)), "src")
	sources := []string{
		filepath.Join(src, "runtime/sys_linux_"+runtime.GOARCH+".s"),
		filepath.Join(src, "internal/runtime/syscall/linux/defs_linux_"+runtime.GOARCH+".go"),
		filepath.Join(src, "internal/runtime/syscall/linux/defs_linux_asm_generic.go"),
	}
	definition := regexp.MustCompile(`(?m)^(?:#define\s+|\s+)(SYS_\w+)\s+=?\s*(\d+)`)
	found := 0
	for i, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil && i < 2 {
			t.Fatalf("the source of the Go runtime is not where it was, adapt this test: %v", err)
		}
		for _, m := range definition.FindAllStringSubmatch(string(text), -1) {
			found++
			number, err := strconv.ParseUint(m[2], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			call := uintptr(number)
			isPermitted := slices.ContainsFunc(permitted(nil), func(r rule) bool { return r.call == call })
			if isPermitted == (neverAfterStart[call] != "") {
				t.Errorf("%s: the Go runtime uses %s (%d): got permitted %v and neverAfterStart %q, want one of them", path, m[1], call, isPermitted,
					neverAfterStart[call])
			}
		}
	}
	if found < 30 {
		t.Errorf("got %d system calls in the source of the Go runtime, want more than 30", found)
	}
}

// TestDocumentedCalls compares docs/permissions.md with the rules.
func TestDocumentedCalls(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the table has the system calls of amd64")
	}
	rules := permitted(nil)
	if !usesCgo {
		rules = append(rules, cgoRules()...)
	}
	testenv.CheckGeneratedSection(t, "../../docs/permissions.md", "system calls", formatRules(rules))
}

// formatRules returns the rules as a table, with one row for each use and one for
// each rule with checks.
func formatRules(rules []rule) string {
	var uses []string
	free := make(map[string][]string)
	var checked strings.Builder
	for _, r := range rules {
		if !slices.Contains(uses, r.use) {
			uses = append(uses, r.use)
		}
		if r.checks == nil {
			free[r.use] = append(free[r.use], "`"+r.name+"`")
			continue
		}
		var texts []string
		for _, c := range r.checks {
			texts = append(texts, c.text)
		}
		fmt.Fprintf(&checked, "| `%s` | %s | %s |\n", r.name, strings.Join(texts, "; "), r.use)
	}
	var table strings.Builder
	table.WriteString("| System call | Condition | Used for |\n|---|---|---|\n" + checked.String())
	for _, use := range uses {
		if free[use] != nil {
			fmt.Fprintf(&table, "| %s | | %s |\n", strings.Join(free[use], " "), use)
		}
	}
	return table.String()
}

// evaluate returns the action of the filter for a system call, as the kernel does.
func (f filter) evaluate(arch, call uint32, args ...uint64) uint32 {
	data := map[uint32]uint32{offsetCall: call, offsetArch: arch}
	for i, arg := range args {
		data[offsetArgs+8*uint32(i)] = uint32(arg)
		data[offsetArgs+8*uint32(i)+offsetHigh] = uint32(arg >> 32)
	}
	var a uint32
	for pc := 0; ; pc++ {
		step, isTrue := f[pc], false
		switch step.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = data[step.K]
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= step.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return step.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			isTrue = a == step.K
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			isTrue = a > step.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			isTrue = a >= step.K
		}
		if isTrue {
			pc += int(step.Jt)
		} else {
			pc += int(step.Jf)
		}
	}
}

// TestFilterArguments evaluates the filter for calls that a test cannot make: of other
// architectures, and with arguments that would have an effect.
func TestFilterArguments(t *testing.T) {
	const private = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	const refuse, unknown = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	const other = 1 << 20                      // not a PID
	const otherClock = 1<<32 - 8*other - 8 + 2 // CPU clock of the process other
	own := uint64(os.Getpid())
	onlyCgo := refuse
	if usesCgo {
		onlyCgo = unix.SECCOMP_RET_ALLOW
	}
	f := newFilter(permitted(nil))
	for _, tt := range []struct {
		name string
		arch uint32
		call uintptr
		args []uint64
		want uint32
	}{
		{"read of i386", unix.AUDIT_ARCH_I386, 3, nil, refuse},
		{"read of x32", auditArch, 1<<30 | unix.SYS_READ, nil, unknown},
		{"read", auditArch, unix.SYS_READ, nil, unix.SECCOMP_RET_ALLOW},
		{"kill itself", auditArch, unix.SYS_KILL, []uint64{own, 15}, unix.SECCOMP_RET_ALLOW},
		{"kill another", auditArch, unix.SYS_KILL, []uint64{other + own, 15}, refuse},
		{"kill its group", auditArch, unix.SYS_KILL, []uint64{-own, 15}, refuse},
		{"kill the own group", auditArch, unix.SYS_KILL, []uint64{0, 15}, refuse},
		{"Go thread", auditArch, unix.SYS_CLONE, []uint64{threadFlags | unix.CLONE_SETTLS}, unix.SECCOMP_RET_ALLOW},
		{"C thread", auditArch, unix.SYS_CLONE, []uint64{0x3d0f00}, onlyCgo},
		{"end of output", auditArch, unix.SYS_SHUTDOWN, []uint64{9, unix.SHUT_WR}, unix.SECCOMP_RET_ALLOW},
		{"end of a listener", auditArch, unix.SYS_SHUTDOWN, []uint64{9, unix.SHUT_RD}, refuse},
		{"end of a listener, both directions", auditArch, unix.SYS_SHUTDOWN, []uint64{9, unix.SHUT_RDWR}, refuse},
		{"timer of a profile", auditArch, unix.SYS_TIMER_CREATE, []uint64{unix.CLOCK_THREAD_CPUTIME_ID}, unix.SECCOMP_RET_ALLOW},
		{"timer of another process", auditArch, unix.SYS_TIMER_CREATE, []uint64{otherClock}, refuse},
		{"sleep", auditArch, unix.SYS_CLOCK_NANOSLEEP, []uint64{unix.CLOCK_MONOTONIC}, unix.SECCOMP_RET_ALLOW},
		{"sleep for CPU time of another process", auditArch, unix.SYS_CLOCK_NANOSLEEP, []uint64{otherClock}, refuse},
		{"futex that is woken at exit", auditArch, unix.SYS_SET_TID_ADDRESS, []uint64{8}, refuse},
		{"robust futexes", auditArch, unix.SYS_SET_ROBUST_LIST, []uint64{8, 24}, onlyCgo},
		{"thread in a namespace", auditArch, unix.SYS_CLONE, []uint64{threadFlags | unix.CLONE_NEWUSER}, refuse},
		{"process", auditArch, unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, refuse},
		{"memory, high offset", auditArch, unix.SYS_PREAD64, []uint64{9, 1, 1, 1 << 32}, refuse},
		{"memory, 4 KiB", auditArch, unix.SYS_PREAD64, []uint64{9, 1, 1, 1 << 12}, refuse},
		{"file", auditArch, unix.SYS_PREAD64, []uint64{9, 1, 1, 1<<12 - 1}, unix.SECCOMP_RET_ALLOW},
		{"own futex", auditArch, unix.SYS_FUTEX, []uint64{8, futexPrivate | 1, 1}, unix.SECCOMP_RET_ALLOW},
		{"own futex with a real-time timeout", auditArch, unix.SYS_FUTEX, []uint64{8, futexPrivate | futexRealtime | 9}, unix.SECCOMP_RET_ALLOW},
		{"shared futex", auditArch, unix.SYS_FUTEX, []uint64{8, 3, 1}, refuse},
		{"shared mapping", auditArch, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ, unix.MAP_SHARED, 9}, refuse},
		{"validated shared mapping", auditArch, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ, unix.MAP_SHARED_VALIDATE, 9}, refuse},
		{"release of the heap", auditArch, unix.SYS_MADVISE, []uint64{8, 1, unix.MADV_DONTNEED}, unix.SECCOMP_RET_ALLOW},
		{"hole in a file", auditArch, unix.SYS_MADVISE, []uint64{8, 1, unix.MADV_REMOVE}, refuse},
		{"eviction of a file", auditArch, unix.SYS_MADVISE, []uint64{8, 1, unix.MADV_PAGEOUT}, refuse},
		{"memory", auditArch, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_WRITE, private | unix.MAP_NORESERVE}, unix.SECCOMP_RET_ALLOW},
		{"droppable memory", auditArch, unix.SYS_MMAP, []uint64{0, 1, 0, mapDroppable | unix.MAP_ANONYMOUS}, unix.SECCOMP_RET_ALLOW},
		{"huge pages", auditArch, unix.SYS_MMAP, []uint64{0, 1, 0, private | unix.MAP_HUGETLB}, refuse},
		{"locked memory", auditArch, unix.SYS_MMAP, []uint64{0, 1, 0, private | unix.MAP_LOCKED}, refuse},
		{"mapping of a file", auditArch, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ, unix.MAP_PRIVATE, 9}, refuse},
		{"end of a standard stream", auditArch, unix.SYS_SHUTDOWN, []uint64{2, unix.SHUT_WR}, refuse},
		{"option of a standard stream", auditArch, unix.SYS_SETSOCKOPT, []uint64{2, unix.SOL_SOCKET, unix.SO_LINGER}, refuse},
		{"option of a connection", auditArch, unix.SYS_SETSOCKOPT, []uint64{9, unix.SOL_SOCKET, unix.SO_LINGER}, unix.SECCOMP_RET_ALLOW},
		{"executable mapping", auditArch, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_EXEC}, refuse},
	} {
		if got := f.evaluate(tt.arch, uint32(tt.call), tt.args...); got != tt.want {
			t.Errorf("%s: got action %#x, want %#x", tt.name, got, tt.want)
		}
	}
}

// TestFilterListeners evaluates the filter for calls that change a file that other processes may have. The process has
// two listeners.
func TestFilterListeners(t *testing.T) {
	const first, second, connection = 5, 6, 9
	f := newFilter(permitted([]uint32{first, second}))
	for _, tt := range []struct {
		name string
		call uintptr
		args []uint64 // after the descriptor
		want []uint64 // descriptors for which it is permitted
	}{
		{"SO_LINGER", unix.SYS_SETSOCKOPT, []uint64{unix.SOL_SOCKET, unix.SO_LINGER}, []uint64{connection}},
		{"TCP_KEEPIDLE", unix.SYS_SETSOCKOPT, []uint64{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, []uint64{connection}},
		{"TCP_USER_TIMEOUT", unix.SYS_SETSOCKOPT, []uint64{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}, nil},
		{"TCP_KEEPIDLE as an option of sockets", unix.SYS_SETSOCKOPT, []uint64{unix.SOL_SOCKET, unix.TCP_KEEPIDLE}, nil},
		{"SHUT_WR", unix.SYS_SHUTDOWN, []uint64{unix.SHUT_WR}, []uint64{connection}},
		{"F_DUPFD_CLOEXEC", unix.SYS_FCNTL, []uint64{unix.F_DUPFD_CLOEXEC, 0}, nil},
		{"F_SETFL", unix.SYS_FCNTL, []uint64{unix.F_SETFL, 0}, []uint64{first, second, connection}},
	} {
		for _, fd := range []uint64{0, 2, first, second, connection} {
			want := unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
			if slices.Contains(tt.want, fd) {
				want = unix.SECCOMP_RET_ALLOW
			}
			if got := f.evaluate(auditArch, uint32(tt.call), append([]uint64{fd}, tt.args...)...); got != want {
				t.Errorf("%s of descriptor %d: got action %#x, want %#x", tt.name, fd, got, want)
			}
		}
	}
}

// TestManyListeners requires that the filter for more listeners than it knows has valid jumps.
func TestManyListeners(t *testing.T) {
	var listeners []uint32
	for fd := range uint32(2 * maxListeners) {
		listeners = append(listeners, 3+fd)
	}
	f := newFilter(permitted(listeners))
	for fd, want := range map[uint64]uint32{
		3: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), 2 + maxListeners: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM),
		3 + 2*maxListeners: unix.SECCOMP_RET_ALLOW,
	} {
		if got := f.evaluate(auditArch, unix.SYS_SETSOCKOPT, fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); got != want {
			t.Errorf("option of descriptor %d: got action %#x, want %#x", fd, got, want)
		}
	}
	if got := f.evaluate(auditArch, unix.SYS_READ, 3); got != unix.SECCOMP_RET_ALLOW {
		t.Errorf("read: got action %#x, want permission", got)
	}
}

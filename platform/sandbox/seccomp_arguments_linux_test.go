//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

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

// A filterCase is a system call and the action of the filter.
type filterCase struct {
	name string
	arch uint32
	call uintptr
	args []uint64
	want uint32
}

// Values of filterCases.
const (
	refuse     = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	unknown    = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	private    = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	other      = 1 << 20                 // not a PID
	otherClock = 1<<32 - 8*other - 8 + 2 // CPU clock of the process other
)

var own = uint64(os.Getpid())

// onlyCgo returns the action for calls that only the C library makes.
func onlyCgo() uint32 {
	if usesCgo {
		return unix.SECCOMP_RET_ALLOW
	}
	return refuse
}

// filterCases are calls that a test cannot make: of other architectures, and with arguments that
// would have an effect.
var filterCases = []filterCase{
	{"read of i386", unix.AUDIT_ARCH_I386, 3, nil, refuse},
	{"read of x32", auditArch, 1<<30 | unix.SYS_READ, nil, unknown},
	{"read", auditArch, unix.SYS_READ, nil, unix.SECCOMP_RET_ALLOW},
	{"process name", auditArch, unix.SYS_PRCTL, []uint64{unix.PR_SET_NAME}, refuse},
	{"kill itself", auditArch, unix.SYS_KILL, []uint64{own, 15}, unix.SECCOMP_RET_ALLOW},
	{"kill another", auditArch, unix.SYS_KILL, []uint64{other + own, 15}, refuse},
	{"kill its group", auditArch, unix.SYS_KILL, []uint64{-own, 15}, refuse},
	{"kill the own group", auditArch, unix.SYS_KILL, []uint64{0, 15}, refuse},
	{"Go thread", auditArch, unix.SYS_CLONE, []uint64{threadFlags | unix.CLONE_SETTLS}, unix.SECCOMP_RET_ALLOW},
	{"C thread", auditArch, unix.SYS_CLONE, []uint64{0x3d0f00}, onlyCgo()},
	{"end of output", auditArch, unix.SYS_SHUTDOWN, []uint64{9, unix.SHUT_WR}, unix.SECCOMP_RET_ALLOW},
	{"end of a listener", auditArch, unix.SYS_SHUTDOWN, []uint64{9, unix.SHUT_RD}, refuse},
	{"end of a listener, both directions", auditArch, unix.SYS_SHUTDOWN, []uint64{9, unix.SHUT_RDWR}, refuse},
	{"timer of a profile", auditArch, unix.SYS_TIMER_CREATE, []uint64{unix.CLOCK_THREAD_CPUTIME_ID}, unix.SECCOMP_RET_ALLOW},
	{"timer of another process", auditArch, unix.SYS_TIMER_CREATE, []uint64{otherClock}, refuse},
	{"sleep", auditArch, unix.SYS_CLOCK_NANOSLEEP, []uint64{unix.CLOCK_MONOTONIC}, unix.SECCOMP_RET_ALLOW},
	{"sleep for CPU time of another process", auditArch, unix.SYS_CLOCK_NANOSLEEP, []uint64{otherClock}, refuse},
	{"futex that is woken at exit", auditArch, unix.SYS_SET_TID_ADDRESS, []uint64{8}, refuse},
	{"robust futexes", auditArch, unix.SYS_SET_ROBUST_LIST, []uint64{8, 24}, onlyCgo()},
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
	{"executable mapping", auditArch, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_EXEC, private}, refuse},
	{"executable memory", auditArch, unix.SYS_MPROTECT, []uint64{8, 1, unix.PROT_EXEC}, refuse},
	{"writing", auditArch, unix.SYS_OPENAT, []uint64{0, 8, unix.O_WRONLY}, refuse},
	{"seek", auditArch, unix.SYS_LSEEK, []uint64{9, 1<<20 - 1, unix.SEEK_SET}, unix.SECCOMP_RET_ALLOW},
	{"seek by 1 MiB", auditArch, unix.SYS_LSEEK, []uint64{9, 1 << 20, unix.SEEK_SET}, refuse},
	{"seek by 4 GiB", auditArch, unix.SYS_LSEEK, []uint64{9, 1 << 32, unix.SEEK_SET}, refuse},
	{"seek in steps", auditArch, unix.SYS_LSEEK, []uint64{9, 1<<20 - 1, unix.SEEK_CUR}, refuse},
	{"end of a standard stream, offset 0", auditArch, unix.SYS_LSEEK, []uint64{2, 0, unix.SEEK_END}, refuse},
	{"offset in a standard stream", auditArch, unix.SYS_LSEEK, []uint64{2, 1, unix.SEEK_SET}, refuse},
	{"owner of a socket", auditArch, unix.SYS_FCNTL, []uint64{9, unix.F_SETOWN, own}, refuse},
	{"signals of a socket", auditArch, unix.SYS_FCNTL, []uint64{9, unix.F_SETFL, unix.O_ASYNC}, refuse},
	{"limit", auditArch, unix.SYS_PRLIMIT64, []uint64{own, unix.RLIMIT_NOFILE, 8}, refuse},
	{"update of a map", auditArch, unix.SYS_BPF, []uint64{unix.BPF_MAP_UPDATE_ELEM}, refuse},
	{"dumpable", auditArch, unix.SYS_PRCTL, []uint64{unix.PR_SET_DUMPABLE, 1}, refuse},
	{"signal to a thread of another", auditArch, unix.SYS_TGKILL, []uint64{other + own, other + own, 15}, refuse},
	{"base of GS", auditArch, 158, []uint64{0x1001, 8}, refuse},                                                    // arch_prctl of amd64
	{"TCP_CONGESTION", auditArch, unix.SYS_SETSOCKOPT, []uint64{9, unix.IPPROTO_TCP, unix.TCP_CONGESTION}, refuse}, // the number of SO_LINGER
	{"SO_PEERPIDFD", auditArch, unix.SYS_GETSOCKOPT, []uint64{9, unix.SOL_SOCKET, 77}, refuse},
	{"TCP_KEEPIDLE", auditArch, unix.SYS_GETSOCKOPT, []uint64{9, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, refuse}, // the number of SO_ERROR
	{"SO_NO_CHECK", auditArch, unix.SYS_GETSOCKOPT, []uint64{9, unix.SOL_SOCKET, unix.SO_NO_CHECK}, refuse},    // the number of TCP_INFO
	{"TCP_ULP", auditArch, unix.SYS_GETSOCKOPT, []uint64{9, unix.IPPROTO_TCP, unix.TCP_ULP}, refuse},
}

// testListeners are the listeners of listenerCases.
var testListeners = []uint32{5, 6}

// listenerCases returns calls that change a file that other processes may have, for several
// descriptors.
func listenerCases() (cases []filterCase) {
	const first, second, connection = 5, 6, 9
	for _, c := range []struct {
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
			want := refuse
			if slices.Contains(c.want, fd) {
				want = unix.SECCOMP_RET_ALLOW
			}
			name := fmt.Sprintf("%s of descriptor %d", c.name, fd)
			cases = append(cases, filterCase{name, auditArch, c.call, append([]uint64{fd}, c.args...), want})
		}
	}
	return cases
}

// TestFilterArguments evaluates the filter for filterCases and listenerCases.
func TestFilterArguments(t *testing.T) {
	f := newFilter(permitted(testListeners))
	for _, tt := range slices.Concat(filterCases, listenerCases()) {
		if got := f.evaluate(tt.arch, uint32(tt.call), tt.args...); got != tt.want {
			t.Errorf("%s: got action %#x, want %#x", tt.name, got, tt.want)
		}
	}
}

// TestEveryCheck removes each check of the rules, and requires that the filter then permits a call
// that it must refuse. So the cases would find the fault.
func TestEveryCheck(t *testing.T) {
	cases := slices.Concat(filterCases, listenerCases())
	all := permitted(testListeners)
	for i, r := range all {
		for j, c := range r.checks {
			rules := slices.Clone(all)
			rules[i].checks = slices.Delete(slices.Clone(r.checks), j, j+1)
			f := newFilter(rules)
			if !slices.ContainsFunc(cases, func(tt filterCase) bool {
				return tt.want == refuse && f.evaluate(tt.arch, uint32(tt.call), tt.args...) == unix.SECCOMP_RET_ALLOW
			}) {
				t.Errorf("%s: no case needs the check %q", r.name, c.text)
			}
		}
	}
}

// TestReadableTerminal requires that the standard streams cannot be read if one of them is a terminal
// that is open for reading, such as that of another user, which the sandbox cannot open again.
func TestReadableTerminal(t *testing.T) {
	terminal := openTerminal(t)
	outputs, err := os.OpenFile(terminal.Name(), os.O_WRONLY|unix.O_NOCTTY, 0)
	mustSucceed(t, err)
	defer outputs.Close()
	for _, tt := range []struct {
		name string
		file *os.File
		want bool
	}{{"terminal", terminal, true}, {"output of a terminal", outputs, false}, {"file", openFile(t), false}} {
		if got := isReadableTerminal(int(tt.file.Fd())); got != tt.want {
			t.Errorf("%s: got readable %v, want %v", tt.name, got, tt.want)
		}
	}
	rules := permitted(nil)
	refuseStandardReads(rules)
	f := newFilter(rules)
	for fd, want := range map[uint64]uint32{0: refuse, 2: refuse, 3: unix.SECCOMP_RET_ALLOW} {
		if got := f.evaluate(auditArch, unix.SYS_READ, fd); got != want {
			t.Errorf("read of descriptor %d: got action %#x, want %#x", fd, got, want)
		}
	}
}

func openFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/proc/self/stat")
	mustSucceed(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
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

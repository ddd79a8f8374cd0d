//go:build amd64 || arm64

package sandbox

import (
	"slices"

	"golang.org/x/sys/unix"
)

// A rule permits a system call if all checks hold. Rules for the same call are
// alternatives.
type rule struct {
	call   uintptr
	name   string // as in the manual pages
	use    string // what needs it
	checks []check
}

// The groups of callers, for the documentation.
const (
	useFiles   = "reading files and directories"
	useMetrics = "metrics of the exporter itself"
	useHTTP    = "HTTP connections"
	useBPF     = "the source bpf"
	useMemory  = "memory"
	useThreads = "threads"
	useSignals = "signals"
	useTime    = "clocks and timers"
	useEvents  = "waiting for sockets and events"
	useCgo     = "threads, only in builds with cgo"
)

// openFlags are the flags of open(2) that do not change a file.
const openFlags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_DIRECTORY | unix.O_LARGEFILE | largeFile | unix.O_NOATIME | unix.O_NOCTTY |
	unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_PATH

// threadFlags are the flags of clone(2) for a thread of the Go runtime, which adds
// CLONE_SETTLS on some architectures. The C library adds cgoThreadOptions.
const (
	threadFlags      = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM
	cgoThreadOptions = unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_SETTID | unix.CLONE_CHILD_CLEARTID | unix.CLONE_DETACHED
)

// futexPrivate is FUTEX_PRIVATE_FLAG: without it, a futex in a mapped file can be that of
// another process. futexRealtime is FUTEX_CLOCK_REALTIME.
const (
	futexPrivate  = 128
	futexRealtime = 256
)

// futexOperations are FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE,
// FUTEX_WAKE_OP, FUTEX_WAIT_BITSET and FUTEX_WAKE_BITSET, private.
var futexOperations = []uint32{
	futexPrivate, futexPrivate | 1, futexPrivate | 3, futexPrivate | 4, futexPrivate | 5, futexPrivate | 9, futexPrivate | 10,
}

// heapAdvice are the arguments of madvise(2) that the Go heap and the C library use.
// Others, such as MADV_PAGEOUT and MADV_REMOVE, change files or their cached pages.
var heapAdvice = []uint32{
	unix.MADV_DONTNEED, unix.MADV_FREE, unix.MADV_HUGEPAGE, unix.MADV_NOHUGEPAGE, unix.MADV_COLLAPSE, madvGuardInstall,
}

// notStandard permits descriptors above those of the standard streams.
var notStandard = above(0, "not of descriptors 0 to 2", 2)

// refuseStandardReads makes the rule for read(2) refuse the standard streams. It is used only if one
// of them is a terminal: the kernel does not cache the result of a rule with a check.
func refuseStandardReads(rules []rule) {
	for i := range rules {
		if rules[i].call == unix.SYS_READ {
			rules[i].checks = append(rules[i].checks, notStandard)
		}
	}
}

// notListener permits descriptors other than those of listeners. A service manager can keep a
// listener open, so changed options would remain after the process has ended. A duplicate of the
// descriptor has the same options, but the filter permits no call that makes one. The rule for
// F_SETFL does not use this check: the number can belong to a file after the listener is closed,
// and the next process sets the flags of a listener itself.
func notListener(listeners []uint32) check {
	return noneOf(0, "not of listeners", listeners[:min(len(listeners), maxListeners)]...)
}

// maxListeners is the number of listeners that the filter knows: a jump can skip at most 255
// instructions.
const maxListeners = 200

// mapOptions are the flags with which the Go heap and the C library may map anonymous memory.
// MAP_HUGETLB would take huge pages that other processes need, and MAP_POPULATE on a file would
// fill holes of files in memory.
const mapOptions = unix.MAP_FIXED | unix.MAP_FIXED_NOREPLACE | unix.MAP_NORESERVE | unix.MAP_STACK

// mapDroppable is MAP_DROPPABLE, which getrandom(2) in the vDSO requests.
const mapDroppable = 8

// madvGuardInstall is MADV_GUARD_INSTALL.
const madvGuardInstall = 102

// replacedCalls return ENOSYS, because callers fall back to a call whose arguments the
// filter can check: arguments of these calls are in memory.
var replacedCalls = []uintptr{unix.SYS_CLONE3, unix.SYS_OPENAT2, unix.SYS_SENDFILE}

// permitted returns the rules of the filter. The most frequent calls come first. Since Linux
// 5.11 the kernel caches the result for calls without checks. listeners are the descriptors of
// listening sockets.
func permitted(listeners []uint32) []rule {
	rules := slices.Concat(fileRules(), networkRules(listeners), memoryRules(), threadRules(), archRules())
	if usesCgo {
		rules = append(rules, cgoRules()...)
	}
	return rules
}

// cgoRules permit the calls of the C library for its threads. The kernel wakes futexes
// when a thread with a robust list or with CLONE_CHILD_CLEARTID exits, also those of
// another process in a mapped file.
func cgoRules() []rule {
	return []rule{
		{unix.SYS_CLONE, "clone", useCgo, []check{{
			argument: 0, mask: ^uint32(unix.CLONE_SETTLS | cgoThreadOptions), values: []uint32{threadFlags},
			text: "only flags of threads of the C library",
		}}},
		{unix.SYS_SET_ROBUST_LIST, "set_robust_list", useCgo, nil},
		{unix.SYS_RSEQ, "rseq", useCgo, nil},
	}
}

func fileRules() []rule {
	return []rule{
		{unix.SYS_OPENAT, "openat", useFiles, []check{only(2, "only flags that do not change files", openFlags)}},
		{unix.SYS_READ, "read", useFiles, nil},
		{unix.SYS_CLOSE, "close", useFiles, nil},
		{unix.SYS_STATX, "statx", useFiles, nil},
		{sysFstatat, "newfstatat", useFiles, nil},
		{unix.SYS_FSTAT, "fstat", useFiles, nil},
		{unix.SYS_FSTATFS, "fstatfs", useFiles, nil},
		// Memory of other processes starts at vm.mmap_min_addr, which is 4 KiB or more. So /proc/PID/mem
		// cannot be read, even with CAP_SYS_PTRACE.
		{unix.SYS_PREAD64, "pread64", useFiles, []check{below4K(3, "only offsets below 4 KiB")}},
		{unix.SYS_READLINKAT, "readlinkat", useFiles, nil},
		{unix.SYS_GETDENTS64, "getdents64", useFiles, nil},
		{unix.SYS_FACCESSAT, "faccessat", useFiles, nil},
		{unix.SYS_FACCESSAT2, "faccessat2", useFiles, nil},
		{unix.SYS_GETCWD, "getcwd", useFiles, nil},
		// Descriptors 0 to 2 can be a log file. Its text must not be overwritten.
		{unix.SYS_LSEEK, "lseek", useFiles, []check{notStandard, null(1, "only offset 0")}},
		// A directory of descriptors is read from the number of a descriptor on. Larger offsets
		// would permit reads of the memory of other processes, see below1M.
		{unix.SYS_LSEEK, "lseek", useFiles, []check{
			notStandard, below1M(1, "only offsets below 1 MiB"), oneOf(2, "SEEK_SET", unix.SEEK_SET),
		}},
		{unix.SYS_FCNTL, "fcntl", useFiles, []check{oneOf(1, "F_GETFL, F_GETFD, F_SETFD", unix.F_GETFL, unix.F_GETFD, unix.F_SETFD)}},
		{unix.SYS_FCNTL, "fcntl", useFiles, []check{
			notStandard, oneOf(1, "F_SETFL", unix.F_SETFL),
			without(2, "without O_ASYNC", unix.O_ASYNC),
		}},
		{unix.SYS_PRLIMIT64, "prlimit64", useFiles, []check{null(2, "no new limit")}},
		{unix.SYS_BPF, "bpf", useBPF, []check{oneOf(0, "BPF_ITER_CREATE, BPF_MAP_LOOKUP_ELEM, BPF_MAP_DELETE_ELEM",
			unix.BPF_ITER_CREATE, unix.BPF_MAP_LOOKUP_ELEM, unix.BPF_MAP_DELETE_ELEM)}},
		{unix.SYS_CAPGET, "capget", useMetrics, nil},
		{unix.SYS_GETRUSAGE, "getrusage", useMetrics, nil},
		{unix.SYS_GETRLIMIT, "getrlimit", useMetrics, nil},
		{unix.SYS_UNAME, "uname", useMetrics, nil},
	}
}

func networkRules(listeners []uint32) []rule {
	return []rule{
		{unix.SYS_WRITE, "write", useHTTP, nil},
		{unix.SYS_WRITEV, "writev", useHTTP, nil},
		{unix.SYS_ACCEPT4, "accept4", useHTTP, nil},
		{unix.SYS_GETSOCKNAME, "getsockname", useHTTP, nil},
		{unix.SYS_GETPEERNAME, "getpeername", useHTTP, nil},
		// The end of input stops a listener, which a service manager may share. The end of output
		// of a standard stream that is a shared socket ends its other writers.
		{unix.SYS_SHUTDOWN, "shutdown", useHTTP, []check{
			notStandard, notListener(listeners), oneOf(1, "SHUT_WR", unix.SHUT_WR),
		}},
		{unix.SYS_SETSOCKOPT, "setsockopt", useHTTP, []check{
			notStandard, notListener(listeners), oneOf(1, "SOL_SOCKET", unix.SOL_SOCKET),
			oneOf(2, "SO_KEEPALIVE, SO_LINGER", unix.SO_KEEPALIVE, unix.SO_LINGER),
		}},
		{unix.SYS_SETSOCKOPT, "setsockopt", useHTTP, []check{
			notStandard, notListener(listeners), oneOf(1, "IPPROTO_TCP", unix.IPPROTO_TCP),
			oneOf(2, "TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT",
				unix.TCP_NODELAY, unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT),
		}},
		{unix.SYS_GETSOCKOPT, "getsockopt", useHTTP, []check{
			oneOf(1, "SOL_SOCKET", unix.SOL_SOCKET), oneOf(2, "SO_ERROR, SO_TYPE, SO_DOMAIN, SO_PROTOCOL",
				unix.SO_ERROR, unix.SO_TYPE, unix.SO_DOMAIN, unix.SO_PROTOCOL),
		}},
		{unix.SYS_GETSOCKOPT, "getsockopt", useHTTP, []check{
			oneOf(1, "IPPROTO_TCP", unix.IPPROTO_TCP), oneOf(2, "TCP_INFO", unix.TCP_INFO),
		}},
		{unix.SYS_EPOLL_CTL, "epoll_ctl", useEvents, nil},
		{unix.SYS_EPOLL_PWAIT, "epoll_pwait", useEvents, nil},
		{unix.SYS_EPOLL_PWAIT2, "epoll_pwait2", useEvents, nil},
		{unix.SYS_EPOLL_CREATE1, "epoll_create1", useEvents, nil},
		{unix.SYS_EVENTFD2, "eventfd2", useEvents, nil},
	}
}

func memoryRules() []rule {
	noExec := []check{without(2, "without PROT_EXEC", unix.PROT_EXEC)}
	return []rule{
		{unix.SYS_MMAP, "mmap", useMemory, append(noExec, check{
			argument: 3, mask: ^uint32(mapOptions), text: "only private anonymous memory",
			values: []uint32{unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, mapDroppable | unix.MAP_ANONYMOUS},
		})},
		{unix.SYS_MPROTECT, "mprotect", useMemory, noExec},
		{unix.SYS_MUNMAP, "munmap", useMemory, nil},
		{unix.SYS_MADVISE, "madvise", useMemory, []check{oneOf(2, "only advice about the heap", heapAdvice...)}},
		{unix.SYS_BRK, "brk", useMemory, nil},
		{unix.SYS_PRCTL, "prctl", useMemory, []check{oneOf(0, "PR_SET_VMA (name of a mapping)", unix.PR_SET_VMA)}},
	}
}

func threadRules() []rule {
	return []rule{
		{unix.SYS_CLONE, "clone", useThreads, []check{{
			argument: 0, mask: ^uint32(unix.CLONE_SETTLS), values: []uint32{threadFlags}, text: "only flags of threads",
		}}},
		{unix.SYS_EXIT, "exit", useThreads, nil},
		{unix.SYS_EXIT_GROUP, "exit_group", useThreads, nil},
		{unix.SYS_FUTEX, "futex", useThreads, []check{{
			argument: 1, mask: ^uint32(futexRealtime), values: futexOperations, text: "private waiting and waking, without priority inheritance",
		}}},
		{unix.SYS_SCHED_YIELD, "sched_yield", useThreads, nil},
		{unix.SYS_SCHED_GETAFFINITY, "sched_getaffinity", useThreads, nil},
		{unix.SYS_GETTID, "gettid", useThreads, nil},
		{unix.SYS_GETPID, "getpid", useThreads, nil},
		{unix.SYS_GETPPID, "getppid", useThreads, nil},
		{unix.SYS_GETUID, "getuid", useThreads, nil},
		{unix.SYS_GETEUID, "geteuid", useThreads, nil},
		{unix.SYS_GETGID, "getgid", useThreads, nil},
		{unix.SYS_GETEGID, "getegid", useThreads, nil},
		{unix.SYS_GETCPU, "getcpu", useThreads, nil},
		{unix.SYS_GETRANDOM, "getrandom", useThreads, nil},
		{unix.SYS_KILL, "kill", useSignals, []check{ownPID(0)}},
		{unix.SYS_TGKILL, "tgkill", useSignals, []check{ownPID(0)}},
		{unix.SYS_RT_SIGACTION, "rt_sigaction", useSignals, nil},
		{unix.SYS_RT_SIGPROCMASK, "rt_sigprocmask", useSignals, nil},
		{unix.SYS_RT_SIGRETURN, "rt_sigreturn", useSignals, nil},
		{unix.SYS_SIGALTSTACK, "sigaltstack", useSignals, nil},
		{unix.SYS_RESTART_SYSCALL, "restart_syscall", useSignals, nil},
		{unix.SYS_CLOCK_GETTIME, "clock_gettime", useTime, nil},
		{unix.SYS_CLOCK_GETRES, "clock_getres", useTime, nil},
		// Timers of the CPU clock of another process run in that process.
		{unix.SYS_CLOCK_NANOSLEEP, "clock_nanosleep", useTime, []check{
			oneOf(0, "CLOCK_REALTIME, CLOCK_MONOTONIC", unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC),
		}},
		{unix.SYS_NANOSLEEP, "nanosleep", useTime, nil},
		{unix.SYS_GETTIMEOFDAY, "gettimeofday", useTime, nil},
		{unix.SYS_SETITIMER, "setitimer", useTime, nil},
		{unix.SYS_TIMER_CREATE, "timer_create", useTime, []check{oneOf(0, "CLOCK_THREAD_CPUTIME_ID", unix.CLOCK_THREAD_CPUTIME_ID)}},
		{unix.SYS_TIMER_SETTIME, "timer_settime", useTime, nil},
		{unix.SYS_TIMER_DELETE, "timer_delete", useTime, nil},
	}
}

//go:build amd64 || arm64

package sandbox

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Arguments that are wrong for every call: no descriptor, and all flags.
const (
	bad  = ^uintptr(0)
	many = uintptr(1<<32 - 1)
)

// calls are system calls that nothing but the filter refuses. They have arguments,
// zero at the end, that the kernel finds wrong before it looks at rights: what the
// filter lets through fails by another error, or does nothing, whoever asks.
var calls = map[string][]uintptr{
	"execveat":             {unix.SYS_EXECVEAT, bad},
	"process_madvise":      {unix.SYS_PROCESS_MADVISE, bad, 0, 0, 0, many},
	"pidfd_getfd":          {unix.SYS_PIDFD_GETFD, bad},
	"pidfd_send_signal":    {unix.SYS_PIDFD_SEND_SIGNAL, bad},
	"rt_sigqueueinfo":      {unix.SYS_RT_SIGQUEUEINFO, 1},
	"rt_tgsigqueueinfo":    {unix.SYS_RT_TGSIGQUEUEINFO, 1, 1},
	"tkill":                {unix.SYS_TKILL},
	"kcmp":                 {unix.SYS_KCMP, 1<<31 - 1, 1<<31 - 1},
	"socketpair":           {unix.SYS_SOCKETPAIR, 1 << 20},
	"listen":               {unix.SYS_LISTEN, bad},
	"truncate":             {unix.SYS_TRUNCATE},
	"ftruncate":            {unix.SYS_FTRUNCATE, bad},
	"fallocate":            {unix.SYS_FALLOCATE, bad},
	"unlinkat":             {unix.SYS_UNLINKAT, bad, 0, many},
	"renameat2":            {unix.SYS_RENAMEAT2, bad, 0, bad, 0, many},
	"mkdirat":              {unix.SYS_MKDIRAT, bad},
	"linkat":               {unix.SYS_LINKAT, bad, 0, bad, 0, many},
	"symlinkat":            {unix.SYS_SYMLINKAT, 0, bad},
	"mknodat":              {unix.SYS_MKNODAT, bad, 0, unix.S_IFIFO},
	"fchmod":               {unix.SYS_FCHMOD, bad},
	"fchmodat":             {unix.SYS_FCHMODAT, bad},
	"fchmodat2":            {unix.SYS_FCHMODAT2, bad, 0, 0, many},
	"fchown":               {unix.SYS_FCHOWN, bad},
	"fchownat":             {unix.SYS_FCHOWNAT, bad, 0, 0, 0, many},
	"utimensat":            {unix.SYS_UTIMENSAT, bad, 0, 0, many},
	"setxattr":             {unix.SYS_SETXATTR},
	"lsetxattr":            {unix.SYS_LSETXATTR},
	"fsetxattr":            {unix.SYS_FSETXATTR, bad},
	"setxattrat":           {unix.SYS_SETXATTRAT, bad},
	"removexattr":          {unix.SYS_REMOVEXATTR},
	"lremovexattr":         {unix.SYS_LREMOVEXATTR},
	"fremovexattr":         {unix.SYS_FREMOVEXATTR, bad},
	"removexattrat":        {unix.SYS_REMOVEXATTRAT, bad, 0, many},
	"file_setattr":         {unix.SYS_FILE_SETATTR, bad, 0, 0, 0, many},
	"open_tree":            {unix.SYS_OPEN_TREE, bad, 0, many},
	"open_tree_attr":       {unix.SYS_OPEN_TREE_ATTR, bad, 0, many},
	"fsconfig":             {unix.SYS_FSCONFIG, bad},
	"mount_setattr":        {unix.SYS_MOUNT_SETATTR, bad, 0, many},
	"setns":                {unix.SYS_SETNS, bad},
	"setuid":               {unix.SYS_SETUID, bad},
	"setgid":               {unix.SYS_SETGID, bad},
	"setreuid":             {unix.SYS_SETREUID, bad, bad},
	"setregid":             {unix.SYS_SETREGID, bad, bad},
	"setresgid":            {unix.SYS_SETRESGID, bad, bad, bad},
	"io_uring_setup":       {unix.SYS_IO_URING_SETUP, 1},
	"userfaultfd":          {unix.SYS_USERFAULTFD, 1 | 1<<30}, // the first is UFFD_USER_MODE_ONLY, which all may
	"perf_event_open":      {unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, bad, many},
	"memfd_create":         {unix.SYS_MEMFD_CREATE, 0, many},
	"memfd_secret":         {unix.SYS_MEMFD_SECRET, many},
	"add_key":              {unix.SYS_ADD_KEY},
	"request_key":          {unix.SYS_REQUEST_KEY},
	"keyctl":               {unix.SYS_KEYCTL, 1 << 20},
	"adjtimex":             {unix.SYS_ADJTIMEX},
	"clock_adjtime":        {unix.SYS_CLOCK_ADJTIME},
	"clock_settime":        {unix.SYS_CLOCK_SETTIME},
	"quotactl_fd":          {unix.SYS_QUOTACTL_FD, bad},
	"setrlimit":            {unix.SYS_SETRLIMIT, unix.RLIMIT_CORE},
	"prlimit64, new limit": {unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, 8},
	"prlimit64, far away":  {unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, 1 << 32}, // as far as Go's heap
	"bpf, load a program":  {unix.SYS_BPF, unix.BPF_PROG_LOAD, 0, 1 << 20},
	"bpf, make a map":      {unix.SYS_BPF, unix.BPF_MAP_CREATE, 0, 1 << 20},
	"bpf, attach":          {unix.SYS_BPF, unix.BPF_LINK_CREATE, 0, 1 << 20},
}

// callsAMD64 are those of [calls] that arm64 does not have, nor package unix there.
var callsAMD64 = map[string][]uintptr{
	"rename": {82}, "mkdir": {83}, "rmdir": {84}, "creat": {85}, "link": {86}, "unlink": {87}, "symlink": {88}, "chmod": {90}, "chown": {92},
	"lchown": {94}, "utime": {132}, "mknod": {133, 0, unix.S_IFIFO}, "utimes": {235}, "futimesat": {261, bad}, "renameat": {264, bad, 0, bad},
}

// attemptCalls adds the calls of this machine to attempts.
func attemptCalls(attempts map[string]func() error) {
	add := func(calls map[string][]uintptr) {
		for name, words := range calls {
			var w [7]uintptr
			copy(w[:], words)
			attempts[name+"(2)"] = func() error {
				if _, _, errno := unix.Syscall6(w[0], w[1], w[2], w[3], w[4], w[5], w[6]); errno != 0 {
					return errno
				}
				return nil
			}
		}
	}
	add(calls)
	if runtime.GOARCH == "amd64" {
		add(callsAMD64)
	}
}

// TestOutside makes sure that it is the filter, and no lack of rights, that
// TestInside finds to refuse [calls].
func TestOutside(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil || !strings.Contains(string(status), "Seccomp:\t0\n") {
		t.Skip("we ourselves are under a filter of system calls")
	}
	for name, who := range somebodies(t) {
		l := send(t, outside, who)
		if l.Dumpable != 1 {
			t.Errorf("%s: got dumpable %d, want 1", name, l.Dumpable)
		}
		for attempt, got := range l.Attempts {
			if got.Refused {
				t.Errorf("%s, %s: got %s where nothing refuses it", name, attempt, got.Err)
			}
		}
	}
}

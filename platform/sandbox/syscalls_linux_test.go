//go:build amd64 || arm64

package sandbox

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Arguments that are invalid for every call.
const (
	badFD    = ^uintptr(0)
	allFlags = uintptr(1<<32 - 1)
)

// deniedSyscalls holds system calls with their number and arguments. The kernel
// rejects these arguments before it checks permissions. Without the filter, each
// call has no effect and no error EPERM or EACCES, also for an unprivileged user.
var deniedSyscalls = map[string][]uintptr{
	"execveat":             {unix.SYS_EXECVEAT, badFD},
	"process_madvise":      {unix.SYS_PROCESS_MADVISE, badFD, 0, 0, 0, allFlags},
	"pidfd_getfd":          {unix.SYS_PIDFD_GETFD, badFD},
	"pidfd_send_signal":    {unix.SYS_PIDFD_SEND_SIGNAL, badFD},
	"rt_sigqueueinfo":      {unix.SYS_RT_SIGQUEUEINFO, 1},
	"rt_tgsigqueueinfo":    {unix.SYS_RT_TGSIGQUEUEINFO, 1, 1},
	"tkill":                {unix.SYS_TKILL},
	"kcmp":                 {unix.SYS_KCMP, 1<<31 - 1, 1<<31 - 1},
	"socketpair":           {unix.SYS_SOCKETPAIR, 1 << 20},
	"listen":               {unix.SYS_LISTEN, badFD},
	"truncate":             {unix.SYS_TRUNCATE},
	"ftruncate":            {unix.SYS_FTRUNCATE, badFD},
	"fallocate":            {unix.SYS_FALLOCATE, badFD},
	"unlinkat":             {unix.SYS_UNLINKAT, badFD, 0, allFlags},
	"renameat2":            {unix.SYS_RENAMEAT2, badFD, 0, badFD, 0, allFlags},
	"mkdirat":              {unix.SYS_MKDIRAT, badFD},
	"linkat":               {unix.SYS_LINKAT, badFD, 0, badFD, 0, allFlags},
	"symlinkat":            {unix.SYS_SYMLINKAT, 0, badFD},
	"mknodat":              {unix.SYS_MKNODAT, badFD, 0, unix.S_IFIFO},
	"fchmod":               {unix.SYS_FCHMOD, badFD},
	"fchmodat":             {unix.SYS_FCHMODAT, badFD},
	"fchmodat2":            {unix.SYS_FCHMODAT2, badFD, 0, 0, allFlags},
	"fchown":               {unix.SYS_FCHOWN, badFD},
	"fchownat":             {unix.SYS_FCHOWNAT, badFD, 0, 0, 0, allFlags},
	"utimensat":            {unix.SYS_UTIMENSAT, badFD, 0, 0, allFlags},
	"setxattr":             {unix.SYS_SETXATTR},
	"lsetxattr":            {unix.SYS_LSETXATTR},
	"fsetxattr":            {unix.SYS_FSETXATTR, badFD},
	"setxattrat":           {unix.SYS_SETXATTRAT, badFD},
	"removexattr":          {unix.SYS_REMOVEXATTR},
	"lremovexattr":         {unix.SYS_LREMOVEXATTR},
	"fremovexattr":         {unix.SYS_FREMOVEXATTR, badFD},
	"removexattrat":        {unix.SYS_REMOVEXATTRAT, badFD, 0, allFlags},
	"file_setattr":         {unix.SYS_FILE_SETATTR, badFD, 0, 0, 0, allFlags},
	"open_tree":            {unix.SYS_OPEN_TREE, badFD, 0, allFlags},
	"open_tree_attr":       {unix.SYS_OPEN_TREE_ATTR, badFD, 0, allFlags},
	"fsconfig":             {unix.SYS_FSCONFIG, badFD},
	"mount_setattr":        {unix.SYS_MOUNT_SETATTR, badFD, 0, allFlags},
	"setns":                {unix.SYS_SETNS, badFD},
	"setuid":               {unix.SYS_SETUID, badFD},
	"setgid":               {unix.SYS_SETGID, badFD},
	"setreuid":             {unix.SYS_SETREUID, badFD, badFD},
	"setregid":             {unix.SYS_SETREGID, badFD, badFD},
	"setresgid":            {unix.SYS_SETRESGID, badFD, badFD, badFD},
	"io_uring_setup":       {unix.SYS_IO_URING_SETUP, 1},
	"userfaultfd":          {unix.SYS_USERFAULTFD, 1 | 1<<30}, // 1 is UFFD_USER_MODE_ONLY, which needs no privilege
	"perf_event_open":      {unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, badFD, allFlags},
	"memfd_create":         {unix.SYS_MEMFD_CREATE, 0, allFlags},
	"memfd_secret":         {unix.SYS_MEMFD_SECRET, allFlags},
	"add_key":              {unix.SYS_ADD_KEY},
	"request_key":          {unix.SYS_REQUEST_KEY},
	"keyctl":               {unix.SYS_KEYCTL, 1 << 20},
	"adjtimex":             {unix.SYS_ADJTIMEX},
	"clock_adjtime":        {unix.SYS_CLOCK_ADJTIME},
	"clock_settime":        {unix.SYS_CLOCK_SETTIME},
	"quotactl_fd":          {unix.SYS_QUOTACTL_FD, badFD},
	"setrlimit":            {unix.SYS_SETRLIMIT, unix.RLIMIT_CORE},
	"prlimit64, new limit": {unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, 8},
	"prlimit64, high half": {unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, 1 << 32}, // like an address in the Go heap
	"bpf, load program":    {unix.SYS_BPF, unix.BPF_PROG_LOAD, 0, 1 << 20},
	"bpf, create map":      {unix.SYS_BPF, unix.BPF_MAP_CREATE, 0, 1 << 20},
	"bpf, attach":          {unix.SYS_BPF, unix.BPF_LINK_CREATE, 0, 1 << 20},
	"bpf, map update":      {unix.SYS_BPF, unix.BPF_MAP_UPDATE_ELEM, 0, 1 << 20},
	"fcntl, F_SETOWN":      {unix.SYS_FCNTL, badFD, unix.F_SETOWN, 1},
	"fcntl, F_SETOWN_EX":   {unix.SYS_FCNTL, badFD, unix.F_SETOWN_EX},
	"fcntl, F_SETSIG":      {unix.SYS_FCNTL, badFD, unix.F_SETSIG, 9},
	"fcntl, F_NOTIFY":      {unix.SYS_FCNTL, badFD, unix.F_NOTIFY},
	"fcntl, F_SETLEASE":    {unix.SYS_FCNTL, badFD, unix.F_SETLEASE},
	"fcntl, O_ASYNC":       {unix.SYS_FCNTL, badFD, unix.F_SETFL, unix.O_ASYNC},
	"fcntl, stderr":        {unix.SYS_FCNTL, 2, unix.F_DUPFD_CLOEXEC, allFlags},
	"lseek, stderr":        {unix.SYS_LSEEK, 2, 0, allFlags},
	"ioctl, FIOSETOWN":     {unix.SYS_IOCTL, badFD, 0x8901},
	"ioctl, SIOCSPGRP":     {unix.SYS_IOCTL, badFD, 0x8902},
	"ioctl, FIOASYNC":      {unix.SYS_IOCTL, badFD, 0x5452},
	"clone, process":       {unix.SYS_CLONE, unix.CLONE_NEWNS | unix.CLONE_FS}, // an invalid combination
	"clone, no CLONE_VM":   {unix.SYS_CLONE, threadFlags &^ unix.CLONE_VM},
	"mmap, PROT_EXEC":      {unix.SYS_MMAP, 0, 0, unix.PROT_READ | unix.PROT_EXEC, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, badFD},
	"mprotect, PROT_EXEC":  {unix.SYS_MPROTECT, 1, 0, unix.PROT_READ | unix.PROT_EXEC},
	"prctl, PR_SET_MM":     {unix.SYS_PRCTL, unix.PR_SET_MM, 0, 0, 0, 1},
	"setsockopt":           {unix.SYS_SETSOCKOPT, badFD, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER},
	"getsockopt":           {unix.SYS_GETSOCKOPT, badFD, unix.SOL_SOCKET, 77}, // SO_PEERPIDFD
	"futex, FUTEX_LOCK_PI": {unix.SYS_FUTEX, badFD, 6},
	"mincore":              {unix.SYS_MINCORE, badFD},
	"shmget":               {unix.SYS_SHMGET, 1, badFD},
	"msgget":               {unix.SYS_MSGGET, 1},
	"semget":               {unix.SYS_SEMGET, 1, allFlags},
	"mq_open":              {unix.SYS_MQ_OPEN, 0, unix.O_CREAT},
	"sendmsg":              {unix.SYS_SENDMSG, badFD},
	"recvmsg":              {unix.SYS_RECVMSG, badFD},
	"dup":                  {unix.SYS_DUP, badFD},
	"dup3":                 {unix.SYS_DUP3, badFD, 2, 0},
	"pwrite64":             {unix.SYS_PWRITE64, badFD},
	"splice":               {unix.SYS_SPLICE, badFD, 0, badFD, 0, 0, allFlags},
	"sched_setaffinity":    {unix.SYS_SCHED_SETAFFINITY, 1<<31 - 1, 0},
	"setpriority":          {unix.SYS_SETPRIORITY, badFD},
	"seccomp":              {unix.SYS_SECCOMP, badFD},
	"personality":          {unix.SYS_PERSONALITY, allFlags},
	"pidfd_open":           {unix.SYS_PIDFD_OPEN, 0, allFlags},
	"process_mrelease":     {unix.SYS_PROCESS_MRELEASE, badFD},
	"execve":               {unix.SYS_EXECVE},
	"sendto":               {unix.SYS_SENDTO, badFD},
	"recvfrom":             {unix.SYS_RECVFROM, badFD},
	"sendmmsg":             {unix.SYS_SENDMMSG, badFD},
	"recvmmsg":             {unix.SYS_RECVMMSG, badFD},
	"socket, no family":    {unix.SYS_SOCKET, 1 << 20},
	"bind":                 {unix.SYS_BIND, badFD},
	"connect":              {unix.SYS_CONNECT, badFD},
	"accept":               {unix.SYS_ACCEPT, badFD},
	"pipe2":                {unix.SYS_PIPE2, 0, allFlags},
	"kill":                 {unix.SYS_KILL, 1<<31 - 1, 0},
	"tgkill":               {unix.SYS_TGKILL, 1<<31 - 1, 1<<31 - 1, 0},
	"ptrace":               {unix.SYS_PTRACE, unix.PTRACE_CONT, 1<<31 - 1},
	"process_vm_readv":     {unix.SYS_PROCESS_VM_READV, 0, 0, 0, 0, 0, allFlags},
	"process_vm_writev":    {unix.SYS_PROCESS_VM_WRITEV, 0, 0, 0, 0, 0, allFlags},
	"unshare":              {unix.SYS_UNSHARE, allFlags},
	"chroot":               {unix.SYS_CHROOT},
	"chdir":                {unix.SYS_CHDIR},
	"fchdir":               {unix.SYS_FCHDIR, badFD},
	"capset":               {unix.SYS_CAPSET},
	"setpgid":              {unix.SYS_SETPGID, 1<<31 - 1, 0},
	"setfsuid":             {unix.SYS_SETFSUID, badFD}, // returns the current user, as for every ID that is invalid
	"setfsgid":             {unix.SYS_SETFSGID, badFD},
	"inotify_init1":        {unix.SYS_INOTIFY_INIT1, allFlags},
	"inotify_add_watch":    {unix.SYS_INOTIFY_ADD_WATCH, badFD, 0, 1},
	"timerfd_create":       {unix.SYS_TIMERFD_CREATE, 1 << 20},
	"signalfd4":            {unix.SYS_SIGNALFD4, badFD, 0, 0},
	"copy_file_range":      {unix.SYS_COPY_FILE_RANGE, badFD, 0, badFD, 0, 0, allFlags},
	"tee":                  {unix.SYS_TEE, badFD, badFD, 1, allFlags},
	"vmsplice":             {unix.SYS_VMSPLICE, badFD, 0, 0, allFlags},
	"sync_file_range":      {unix.SYS_SYNC_FILE_RANGE, badFD, 0, 0, allFlags},
	"fsync":                {unix.SYS_FSYNC, badFD},
	"flock":                {unix.SYS_FLOCK, badFD},
	"msync":                {unix.SYS_MSYNC, 1},
	"mremap":               {unix.SYS_MREMAP, 1},
	"mlock2":               {unix.SYS_MLOCK2, 0, 0, allFlags},
	"pkey_mprotect":        {unix.SYS_PKEY_MPROTECT, 1},
	"move_pages":           {unix.SYS_MOVE_PAGES, 0, 0, 0, 0, 0, allFlags},
	"ioprio_set":           {unix.SYS_IOPRIO_SET, badFD},
	"sched_setscheduler":   {unix.SYS_SCHED_SETSCHEDULER, badFD},
	"sched_setattr":        {unix.SYS_SCHED_SETATTR, badFD},
	"pwritev2":             {unix.SYS_PWRITEV2, badFD},
	"readahead":            {unix.SYS_READAHEAD, badFD},
	"waitid":               {unix.SYS_WAITID, allFlags},
	"membarrier":           {unix.SYS_MEMBARRIER, allFlags},
	"name_to_handle_at":    {unix.SYS_NAME_TO_HANDLE_AT, badFD, 0, 0, 0, allFlags},
}

// deniedSyscallsAMD64 holds calls that arm64 lacks, by number, because package unix
// does not define them for arm64.
var deniedSyscallsAMD64 = map[string][]uintptr{
	"rename": {82}, "mkdir": {83}, "rmdir": {84}, "creat": {85}, "link": {86}, "unlink": {87}, "symlink": {88}, "chmod": {90}, "chown": {92},
	"lchown": {94}, "utime": {132}, "mknod": {133, 0, unix.S_IFIFO}, "utimes": {235}, "futimesat": {261, badFD},
	"renameat": {264, badFD, 0, badFD}, "open": {2}, "pipe": {22}, "dup2": {33, badFD, 2}, "iopl": {172, 4}, "ioperm": {173, badFD, 1},
}

// addSyscalls adds the denied system calls of this architecture to operations.
func addSyscalls(operations map[string]func() error) {
	add := func(calls map[string][]uintptr) {
		for name, args := range calls {
			var a [7]uintptr
			copy(a[:], args)
			operations[name+"(2)"] = func() error {
				if _, _, errno := unix.Syscall6(a[0], a[1], a[2], a[3], a[4], a[5], a[6]); errno != 0 {
					return errno
				}
				return nil
			}
		}
	}
	add(deniedSyscalls)
	operations["clone, child process(2)"] = func() error { return startChild(unix.SYS_CLONE) }
	if runtime.GOARCH == "amd64" {
		const fork = 57
		add(deniedSyscallsAMD64)
		operations["fork(2)"] = func() error { return startChild(fork) }
	}
}

// startChild starts a child process, which exits at once. The argument of fork(2) is ignored. The
// child of vfork(2) would overwrite the stack of its parent, so only TestEveryCall makes that call.
//
//go:norace
func startChild(call uintptr) error {
	pid, _, errno := unix.RawSyscall6(call, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		for {
			_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}

// TestWithoutSandbox requires that no system call of deniedSyscalls fails with a
// permission error without the filter. So in TestSandbox it is the filter that
// denies them.
func TestWithoutSandbox(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil || !strings.Contains(string(status), "Seccomp:\t0\n") {
		t.Skip("this process already has a seccomp filter")
	}
	disabled, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled")
	isBPFPrivileged := err == nil && strings.TrimSpace(string(disabled)) != "0"
	for name, attr := range testUsers(t) {
		r := runChild(t, modeNone, attr)
		if !r.OwnsProc {
			t.Errorf("%s: got an undumpable process, want a dumpable one", name)
		}
		for operation, got := range r.Operations {
			if isBPFPrivileged && (attr != nil || os.Getuid() != 0) && strings.HasPrefix(operation, "bpf, ") {
				continue // old kernels check CAP_BPF before the arguments
			}
			if got.Denied {
				t.Errorf("%s, %s: got error %s, want no permission error", name, operation, got.Err)
			}
		}
	}
}

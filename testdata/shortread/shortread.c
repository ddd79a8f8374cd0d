// shortread PID BYTES: the reads that a program makes of files below /proc give
// it so many bytes at most, until this one is ended. The kernel makes the reads,
// with that length in the place of what was asked for.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/ptrace.h>

static int in_proc(pid_t tid, unsigned long fd)
{
	char path[64], to[16] = "";

	snprintf(path, sizeof path, "/proc/%d/fd/%lu", tid, fd);
	return readlink(path, to, sizeof to) > 0 && strncmp(to, "/proc/", 6) == 0;
}

// shorten sets the third argument of the system call that a thread is about to make.
static void shorten(pid_t tid, unsigned long bytes)
{
	struct user_regs_struct regs;
	struct iovec all = { &regs, sizeof regs };

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &all) < 0)
		return;
#if defined(__x86_64__)
	regs.rdx = bytes;
#elif defined(__aarch64__)
	regs.regs[2] = bytes;
#endif
	ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &all);
}

static void look(pid_t tid, unsigned long bytes)
{
	struct ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	if (info.entry.nr != SYS_read && info.entry.nr != SYS_pread64)
		return;
	if (info.entry.args[2] > bytes && in_proc(tid, info.entry.args[0]))
		shorten(tid, bytes);
}

// seize takes hold of all threads that it does not hold, and returns how many.
// What a held one starts is held as well.
static int seize(const char *pid)
{
	char path[64];
	int held = 0;

	snprintf(path, sizeof path, "/proc/%s/task", pid);
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		pid_t tid = atoi(e->d_name);
		if (tid <= 0 || ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE) < 0)
			continue;
		ptrace(PTRACE_INTERRUPT, tid, 0, 0);
		held++;
	}
	if (dir)
		closedir(dir);
	return held;
}

int main(int argc, char **argv)
{
	int status;
	pid_t tid;

	if (argc != 3 || seize(argv[1]) == 0) {
		perror("shortread");
		return 1;
	}
	while (seize(argv[1]) > 0)
		; // one that was not yet held may have started another
	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		long sig = 0;
		if (tid < 0 || !WIFSTOPPED(status))
			continue;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			look(tid, strtoul(argv[2], 0, 10));
		else if (status >> 16 == 0)
			sig = WSTOPSIG(status);
		ptrace(PTRACE_SYSCALL, tid, 0, sig);
	}
	return 0;
}

// syscallfaults PROGRAM ARGUMENTS...: executes the program. A child process makes
// system calls of the program fail (seccomp user notification). It reads plans from
// descriptor 3, and responds to each with the number of calls that failed or were
// shortened by the previous plan:
//
//	SEED EVERY BYTES CALL:ERROR...
//
// One of EVERY calls with a number CALL returns one of its ERRORs, selected at random
// from SEED. If BYTES is not 0, reads below /proc return at most that many bytes.
// Only reads below /proc and clocks of processes are affected.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CONTROL = 3, MOST_FAULTS = 64 };

static struct {
	uint64_t chance;
	unsigned long every, bytes;
	int count;
	struct { int call, error; } faults[MOST_FAULTS];
	unsigned long met;
} plan;

static int program; // pidfd of it

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t chance(void)
{
	plan.chance ^= plan.chance << 13;
	plan.chance ^= plan.chance >> 7;
	plan.chance ^= plan.chance << 17;
	return plan.chance;
}

// listen_here reports the system calls of this process to the returned descriptor.
static int listen_here(void)
{
#define MEET(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		MEET(openat), MEET(read), MEET(pread64), MEET(getdents64), MEET(statx),
		MEET(newfstatat), MEET(readlinkat), MEET(prlimit64), MEET(clock_gettime),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof code / sizeof *code, code };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

static int below_proc(const struct seccomp_notif *n)
{
	char path[64], to[16] = "";

	snprintf(path, sizeof path, "/proc/%u/fd/%u", n->pid, (unsigned)n->data.args[0]);
	return readlink(path, to, sizeof to) > 0 && strncmp(to, "/proc/", 6) == 0;
}

static int reads(int call)
{
	return call == SYS_read || call == SYS_pread64 || call == SYS_getdents64;
}

// cut_short performs a read for the program, of at most plan.bytes bytes.
static int cut_short(const struct seccomp_notif *n, struct seccomp_notif_resp *answer)
{
	static char piece[1 << 16];
	size_t want = plan.bytes < sizeof piece ? plan.bytes : sizeof piece;
	int fd = syscall(SYS_pidfd_getfd, program, (int)n->data.args[0], 0);

	if (fd < 0)
		return 0;
	ssize_t got = n->data.nr == SYS_read ? read(fd, piece, want) : pread(fd, piece, want, n->data.args[3]);
	struct iovec from = { piece, got }, to = { (void *)n->data.args[1], got };
	if (got < 0 || (got > 0 && process_vm_writev(n->pid, &from, 1, &to, 1, 0) != got))
		answer->error = -errno;
	else
		answer->val = got;
	close(fd);
	return 1;
}

static void answer_to(const struct seccomp_notif *n, struct seccomp_notif_resp *answer)
{
	int call = n->data.nr, fits = 0, errors[MOST_FAULTS];

	answer->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (call == SYS_clock_gettime && (int)n->data.args[0] >= 0)
		return;
	for (int i = 0; i < plan.count; i++)
		if (plan.faults[i].call == call)
			errors[fits++] = plan.faults[i].error;
	int hit = fits && chance() % plan.every == 0;
	int cut = plan.bytes && call != SYS_getdents64 && reads(call) && n->data.args[2] > plan.bytes;
	if ((!hit && !cut) || (reads(call) && !below_proc(n)))
		return;
	if (hit) {
		answer->flags = 0;
		answer->error = -errors[chance() % fits];
		plan.met++;
	} else if (cut_short(n, answer)) {
		answer->flags = 0;
		plan.met++;
	}
}

static void take_line(char *line)
{
	char *at = line;
	unsigned long met = plan.met;

	memset(&plan, 0, sizeof plan);
	plan.chance = strtoull(at, &at, 10) * 2 + 1;
	plan.every = strtoul(at, &at, 10);
	plan.bytes = strtoul(at, &at, 10);
	while (plan.count < MOST_FAULTS && sscanf(at, " %d:%d", &plan.faults[plan.count].call, &plan.faults[plan.count].error) == 2) {
		plan.count++;
		at += strcspn(at + 1, " ") + 1;
	}
	if (plan.every == 0)
		plan.every = 1;
	dprintf(CONTROL, "%lu\n", met);
}

// watch responds to the system calls of the program until it exits.
static void watch(int listener)
{
	struct pollfd ends[] = { { listener, POLLIN, 0 }, { CONTROL, POLLIN, 0 } };
	char line[4096];

	for (;;) {
		if (poll(ends, 2, -1) < 0 || ends[0].revents & (POLLHUP | POLLERR))
			return;
		if (ends[0].revents & POLLIN) {
			struct seccomp_notif n = { 0 };
			struct seccomp_notif_resp answer = { 0 };

			if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
				continue; // a signal interrupted the call
			answer.id = n.id;
			answer_to(&n, &answer);
			ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
		}
		if (ends[1].revents & POLLIN) {
			ssize_t got = read(CONTROL, line, sizeof line - 1);
			if (got <= 0)
				ends[1].fd = -1;
			else {
				line[got] = 0;
				take_line(line);
			}
		}
	}
}

int main(int argc, char **argv)
{
	int pair[2], listener, number;
	char done;

	if (argc < 2)
		return 2;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail("socketpair");
	pid_t watcher = fork();
	if (watcher < 0)
		fail("fork");
	if (watcher == 0) {
		// The parent must not make a reported system call before this child has its descriptor.
		close(pair[1]);
		if (recv(pair[0], &number, sizeof number, MSG_WAITALL) != sizeof number)
			return 1;
		if ((program = syscall(SYS_pidfd_open, getppid(), 0)) < 0 || (listener = syscall(SYS_pidfd_getfd, program, number, 0)) < 0)
			fail("pidfd_getfd");
		close(pair[0]);
		watch(listener);
		return 0;
	}
	close(pair[0]);
	fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
	if ((listener = listen_here()) < 0)
		fail("seccomp");
	fcntl(listener, F_SETFD, FD_CLOEXEC);
	if (send(pair[1], &listener, sizeof listener, 0) != sizeof listener)
		fail("send");
	recv(pair[1], &done, 1, 0); // returns when the child has closed its end
	execv(argv[1], argv + 1);
	fail(argv[1]);
}

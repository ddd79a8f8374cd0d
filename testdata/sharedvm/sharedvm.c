// sharedvm FILE: maps FILE, which is on a file system that does not respond to
// writes, and starts a child that shares its memory. It prints "ready" and blocks
// with a locked memory map. At a byte on standard input the child calls execve(2),
// which waits for that lock, so that its stat cannot be read. Both run until their
// standard input ends.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static char stack[64 << 10], *program;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* use_cpu uses more CPU time than the error of its measurement. */
static void use_cpu(void)
{
	while (clock() < CLOCKS_PER_SEC / 80)
		;
}

static void await_end(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
}

static int child(void *unused)
{
	char *args[] = { "sharedvm", 0 };
	char c;

	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(0, &c, 1) == 1)
		execve(program, args, environ);
	_exit(1);
}

int main(int argc, char **argv)
{
	struct stat info;
	char *memory;
	int fd;

	if (argc < 2) {
		await_end();
		return 0;
	}
	program = argv[0];
	use_cpu();
	if ((fd = open(argv[1], O_RDWR | O_CLOEXEC)) < 0 || fstat(fd, &info))
		fail(argv[1]);
	if (mlockall(MCL_CURRENT)) // a page fault would wait for the locked memory map
		fail("mlockall");
	memory = mmap(0, info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		fail("mmap");
	memory[0] = 1;
	if (clone(child, stack + sizeof stack, CLONE_VM | SIGCHLD, 0) < 0)
		fail("clone");
	puts("ready");
	fflush(stdout);
	if (mmap(memory, info.st_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		fail("mmap");
	await_end();
	return 0;
}

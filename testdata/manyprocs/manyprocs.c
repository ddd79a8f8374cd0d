// manyprocs KIND COUNT...: starts many objects that an exporter reads, prints
// "ready", and runs until its standard input ends. All processes are called
// manyprocs unless noted, and end with it.
//
//	manyprocs processes COUNT      sleeping processes
//	manyprocs zombies COUNT        zombies
//	manyprocs chain COUNT          each the parent of the next, called link
//	manyprocs threads COUNT EACH   processes with EACH threads
//	manyprocs named COUNT EACH     likewise, with a unique name for each thread;
//	                               the processes are called manyprocs0, manyprocs1 ...
//	manyprocs users COUNT FIRST    processes of the users FIRST and up
//	manyprocs files COUNT EACH     processes with EACH open descriptors
//	manyprocs memory COUNT EACH    processes that map the same 256 MiB EACH times, and
//	                               then a page from time to time; the file in the
//	                               variable WORST gets the longest time of a mapping
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

// stay waits forever. PR_SET_PDEATHSIG ends the process with its parent.
static void stay(void)
{
	for (;;)
		pause();
}

// child returns 0 in a new process, which ends with its parent.
static pid_t child(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1); // the parent exited before prctl
	}
	return pid;
}

static int ready_pipe[2];

static void *sleep_forever(void *unused)
{
	stay();
	return unused;
}

static void threads(long count)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	while (--count > 0)
		if (pthread_create(&thread, &attr, sleep_forever, 0))
			fail("pthread_create");
}

static long number; // of this child

static void *named(void *which)
{
	char name[16];

	snprintf(name, sizeof name, "%ld.%ld", number, (long)which);
	prctl(PR_SET_NAME, name);
	if (write(ready_pipe[1], "x", 1) != 1)
		fail("write");
	stay();
	return which;
}

// named_threads returns when all threads have their names.
static void named_threads(long count)
{
	pthread_attr_t attr;
	pthread_t thread;
	char name[16], c;

	if (pipe(ready_pipe) < 0)
		fail("pipe");
	snprintf(name, sizeof name, "manyprocs%ld", number);
	prctl(PR_SET_NAME, name);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	for (long i = 1; i < count; i++) {
		if (pthread_create(&thread, &attr, named, (void *)i))
			fail("pthread_create");
		if (read(ready_pipe[0], &c, 1) != 1)
			fail("read");
	}
}

static void user(long first)
{
	pid_t parent = getppid();
	uid_t uid = first + number;

	if (setresuid(uid, uid, uid))
		fail("setresuid");
	prctl(PR_SET_PDEATHSIG, SIGKILL); // the change of the user cleared it
	if (getppid() != parent)
		_exit(1);
}

static void files(long count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 0; fd < count - 1;) // dup returns the lowest free descriptor
		if ((fd = dup(0)) < 0)
			fail("dup");
}

static void memory(int fd, long times)
{
	const size_t size = 256 << 20;

	while (times-- > 0) {
		if (mmap(0, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0) == MAP_FAILED)
			fail("mmap");
	}
}

static long micros(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

// change_map maps a page from time to time, so that the memory map changes. The file in WORST gets the
// longest duration in microseconds since the file was emptied.
static void change_map(void)
{
	const char *path = getenv("WORST");
	int fd = path ? open(path, O_RDWR) : -1, pause = path ? 200 : 50000;
	long worst = 0;

	for (;;) {
		long begin = micros(), took;
		char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p != MAP_FAILED) {
			*p = 1;
			munmap(p, 4096);
		}
		took = micros() - begin;
		if (fd >= 0) {
			char text[16];
			if (pread(fd, text, 1, 0) == 0)
				worst = -1;
			if (took > worst && snprintf(text, sizeof text, "%12ld\n", worst = took) == 13 && pwrite(fd, text, 13, 0) != 13)
				fail("write");
		}
		usleep(pause);
	}
}

static int shared(void)
{
	int fd = memfd_create("manyprocs", 0);

	if (fd < 0 || ftruncate(fd, 256 << 20) < 0)
		fail("memfd");
	return fd;
}

static void nothing(long unused) { (void)unused; }

static int memory_fd;
static void map(long times) { memory(memory_fd, times); }

// wait_ready waits until count processes have written to a pipe. It exits if all others have closed it.
static void wait_ready(int fd, long count)
{
	char c;

	while (count-- > 0)
		if (read(fd, &c, 1) != 1) {
			fprintf(stderr, "manyprocs: a process has failed\n");
			exit(1);
		}
}

// each starts children that call a function, report that, and stay.
static void each(long count, void (*what)(long), long argument)
{
	int ready[2];

	if (pipe(ready) < 0)
		fail("pipe");
	for (long i = 0; i < count; i++)
		if (child() == 0) {
			number = i;
			what(argument);
			if (write(ready[1], "x", 1) != 1)
				fail("write");
			dup2(0, ready[1]); // closes it and keeps the number of descriptors
			if (what == map)
				change_map();
			stay();
		}
	close(ready[1]);
	wait_ready(ready[0], count);
}

// leave_zombies starts children that exit and are not reaped.
static void leave_zombies(long count)
{
	while (count-- > 0)
		if (child() == 0)
			_exit(0);
}

// link_of starts the next process of a chain and closes ready; the last one first reports that it is
// there. Each executes the program again: a process that was only forked keeps the memory layout of its
// ancestors.
static void link_of(long left, int ready)
{
	char more[24], fd[24];
	char *args[] = { "manyprocs", "link", more, fd, 0 };

	snprintf(more, sizeof more, "%ld", left - 1);
	snprintf(fd, sizeof fd, "%d", ready);
	if (left == 0) {
		if (write(ready, "x", 1) != 1)
			fail("write");
	} else if (child() == 0) {
		execv("/proc/self/exe", args);
		fail("execv");
	}
	close(ready);
}

static void chain(long count)
{
	int ready[2];

	if (pipe(ready) < 0)
		fail("pipe");
	link_of(count, ready[1]);
	wait_ready(ready[0], 1);
}

// end_children ends all other processes of this process group and reaps them, because PID 1 can be
// slow to do so.
static void end_children(void)
{
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	while (wait(0) > 0)
		;
}

int main(int argc, char **argv)
{
	const char *kind = argc > 2 ? argv[1] : "";
	long count = argc > 2 ? atol(argv[2]) : 0, more = argc > 3 ? atol(argv[3]) : 0;
	char c;

	if (!strcmp(kind, "link")) {
		prctl(PR_SET_NAME, "link");
		link_of(count, more);
		stay();
	}
	closefrom(3); // inherited descriptors
	setpgid(0, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!strcmp(kind, "processes"))
		each(count, nothing, 0);
	else if (!strcmp(kind, "zombies"))
		leave_zombies(count);
	else if (!strcmp(kind, "chain"))
		chain(count);
	else if (!strcmp(kind, "threads"))
		each(count, threads, more);
	else if (!strcmp(kind, "named"))
		each(count, named_threads, more);
	else if (!strcmp(kind, "users"))
		each(count, user, more);
	else if (!strcmp(kind, "files"))
		each(count, files, more);
	else if (!strcmp(kind, "memory")) {
		memory_fd = shared();
		each(count, map, more);
	} else {
		fprintf(stderr, "manyprocs: no such kind: %s\n", kind);
		return 2;
	}
	printf("ready\n");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	end_children();
	return 0;
}

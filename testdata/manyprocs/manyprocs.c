// crowd KIND COUNT...: becomes many of what an exporter has to read, says "ready"
// on standard output, and stays until its standard input ends. All are called
// crowd unless it says otherwise, and end with it.
//
//	crowd processes COUNT      that sleep
//	crowd zombies COUNT        that nobody waits for
//	crowd chain COUNT          each the parent of the next, and called link
//	crowd threads COUNT EACH   so many processes of so many threads
//	crowd named COUNT EACH     likewise, each thread with a name of its own, and
//	                           the processes called crowd0, crowd1 and so on
//	crowd users COUNT FIRST    that belong to the users FIRST and up
//	crowd files COUNT EACH     so many processes of so many open descriptors
//	crowd memory COUNT EACH    so many processes that map and touch the same
//	                           256 MiB so many times each, and go on to map a
//	                           page now and then; WORST tells how long that takes
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

// stay waits for the end, of which the kernel tells those whose parent has gone.
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
			_exit(1); // it has gone before we said so
	}
	return pid;
}

static int told[2];

static void *rest(void *unused)
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
		if (pthread_create(&thread, &attr, rest, 0))
			fail("pthread_create");
}

static long number; // of this child

static void *named(void *which)
{
	char name[16];

	snprintf(name, sizeof name, "%ld.%ld", number, (long)which);
	prctl(PR_SET_NAME, name);
	if (write(told[1], "x", 1) != 1)
		fail("write");
	stay();
	return which;
}

// named_threads returns when all of them have their names.
static void named_threads(long count)
{
	pthread_attr_t attr;
	pthread_t thread;
	char name[16], c;

	if (pipe(told) < 0)
		fail("pipe");
	snprintf(name, sizeof name, "manyprocs%ld", number);
	prctl(PR_SET_NAME, name);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	for (long i = 1; i < count; i++) {
		if (pthread_create(&thread, &attr, named, (void *)i))
			fail("pthread_create");
		if (read(told[0], &c, 1) != 1)
			fail("read");
	}
}

static void user(long first)
{
	pid_t parent = getppid();
	uid_t uid = first + number;

	if (setresuid(uid, uid, uid))
		fail("setresuid");
	prctl(PR_SET_PDEATHSIG, SIGKILL); // which was forgotten with the other user
	if (getppid() != parent)
		_exit(1);
}

static void files(long count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 0; fd < count - 1;) // each gets the least number that is free
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

// stir maps a page now and then, so that the memory is not what it was. The file
// that WORST names has how many microseconds that took at most since it was empty.
static void stir(void)
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

// each has so many children do something, then say so, and stay.
static void each(long count, void (*what)(long), long argument)
{
	int ready[2];
	char c;

	if (pipe(ready) < 0)
		fail("pipe");
	for (long i = 0; i < count; i++)
		if (child() == 0) {
			number = i;
			what(argument);
			if (write(ready[1], "x", 1) != 1)
				fail("write");
			if (what == map)
				stir();
			stay();
		}
	for (long i = 0; i < count; i++)
		if (read(ready[0], &c, 1) != 1)
			fail("read");
}

// leave is what a child does that nobody waits for.
static void leave(long count)
{
	while (count-- > 0)
		if (child() == 0)
			_exit(0);
}

// link becomes one of a chain, with so many to come, of which the last says that it
// is there. Each runs the program anew: the memory of a process that was only
// forked remembers all that it was forked from.
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
}

static void chain(long count)
{
	int ready[2];
	char c;

	if (pipe(ready) < 0)
		fail("pipe");
	link_of(count, ready[1]);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		fail("read");
}

// disperse ends all processes of this group but this one, and waits for them, as
// the first process of a machine may take its time for.
static void disperse(void)
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
	closefrom(3); // what others have left open
	setpgid(0, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!strcmp(kind, "processes"))
		each(count, nothing, 0);
	else if (!strcmp(kind, "zombies"))
		leave(count);
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
	disperse();
	return 0;
}

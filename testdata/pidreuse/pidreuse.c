// recycle ROOM: has children, one after the other, that all have the same PID, for
// which it must be root (clone3 with set_tid, since Linux 5.5). It says "ready" and
// obeys lines on its standard input:
//
//	fresh KIND       ends the child there is, waits for a clock tick to begin, and
//	                 starts one of a kind
//	next KIND        the same without waiting
//	chain COUNT OF   so many of the kinds 0 to OF - 1 in turns
//	end              ends the child
//
// It answers "PID TICK BIRTHS NANOS FAULTS OWN": when the child that it has was born,
// as /proc shows it, how many were, the CPU time of itself and of those that have
// ended, the page faults of these, which are more for a higher kind, and its own.
// What a child has follows from its kind: the number of its open files, KIND and
// four more, their limit, a thousand times that, its only argument, "recycled KIND
// BIRTHS", and in the end its name, "kind KIND". ROOM is what is written over. The
// variable TITLE has another word in the place of "pidreuse".
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile char pages[16 << 12];
static char *room; // for the arguments of a child
static size_t size;
static int ready[2];
static pid_t pid; // of all children
static int alive;
static long births;
static long long nanos, faults; // of those that have ended

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static long long boot_nanos(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void await_tick(void)
{
	const long long tick = 1000000000LL / sysconf(_SC_CLK_TCK);
	long long begin = boot_nanos() / tick;

	while (boot_nanos() / tick == begin)
		;
}

static long long cpu(const struct rusage *used)
{
	return (used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000000LL + (used->ru_utime.tv_usec + used->ru_stime.tv_usec) * 1000LL;
}

static const char *title = "pidreuse";

static void end(void)
{
	struct rusage used;

	if (!alive)
		return;
	kill(pid, SIGKILL);
	if (wait4(pid, 0, 0, &used) != pid)
		fail("wait");
	nanos += cpu(&used);
	faults += used.ru_minflt;
	alive = 0;
}

static void be(long kind)
{
	struct rlimit limit = { 1000 * (kind + 4), 1000 * (kind + 4) };
	char name[16];

	memset(room, 0, size);
	snprintf(room, size, "%s %ld %ld", title, kind, births);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		fail("setrlimit");
	close(ready[0]);
	for (long i = 0; i < kind; i++)
		pages[i % 16 << 12] = 1;
	for (long i = 0; i < kind; i++)
		if (dup(0) < 0)
			fail("dup");
	snprintf(name, sizeof name, "kind %ld", kind);
	prctl(PR_SET_NAME, name);
	if (write(ready[1], "x", 1) != 1)
		fail("write");
	for (;;) /* by a function that was called before: it has no page fault more */
		syscall(SYS_ppoll, 0, 0, 0, 0, 0);
}

static void start(long kind)
{
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = pid ? (uintptr_t)&pid : 0, .set_tid_size = pid != 0 };
	pid_t parent = getpid();
	long child;
	char c;

	births++;
	// Somebody else may have the number for a moment.
	for (int tries = 0; (child = syscall(SYS_clone3, &args, sizeof args)) < 0; tries++) {
		if (errno != EEXIST || tries > 2000)
			fail("clone3");
		usleep(1000);
	}
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		be(kind);
	}
	if (read(ready[0], &c, 1) != 1)
		fail("read");
	pid = child;
	alive = 1;
}

// tick returns when the child was born.
static long long tick(void)
{
	char path[32], text[1024], *at;
	long long when = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	if (!alive || !(f = fopen(path, "r")))
		return 0;
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	fclose(f);
	at = strrchr(text, ')');
	if (!at || sscanf(at, ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lld", &when) != 1)
		fail("stat");
	return when;
}

int main(int argc, char **argv)
{
	char line[64];
	long kind, of;
	struct rusage own;

	if (argc != 2) {
		fprintf(stderr, "usage: pidreuse PADDING\n");
		return 2;
	}
	if (getenv("TITLE"))
		title = getenv("TITLE");
	room = argv[0];
	size = argv[1] + strlen(argv[1]) - argv[0]; // without the last NUL, which says that this is an argument
	closefrom(3);
	if (pipe(ready))
		fail("pipe");
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "fresh %ld", &kind) == 1) {
			end();
			await_tick();
			start(kind);
		} else if (sscanf(line, "next %ld", &kind) == 1) {
			end();
			start(kind);
		} else if (sscanf(line, "chain %ld %ld", &kind, &of) == 2) {
			for (long i = 0; i < kind; i++) {
				end();
				start(i % of);
			}
		} else
			end();
		getrusage(RUSAGE_SELF, &own);
		printf("%d %lld %ld %lld %lld %ld\n", pid, tick(), births, nanos + cpu(&own), faults, own.ru_minflt);
		fflush(stdout);
	}
	end();
	return 0;
}

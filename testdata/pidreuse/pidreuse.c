// pidreuse PADDING: starts children one after another, all with the same PID. It
// requires root (clone3 with set_tid, since Linux 5.5). It prints "ready" and
// executes commands from its standard input:
//
//	fresh KIND       ends the current child, waits for the next clock tick, and
//	                 starts a child of a kind
//	next KIND        the same without waiting
//	chain COUNT OF   starts COUNT children of the kinds 0 to OF - 1 in turn
//	end              ends the current child
//
// After each command it prints "PID TICK STARTS NANOS FAULTS OWN": start time of the
// current child as in /proc, number of started children, CPU time of the program and
// of its reaped children, page faults of the reaped children, which increase with
// the kind, and its own page faults. The kind of a child determines the number of its
// open files, KIND plus four, their limit, a thousand times that, its only argument,
// "pidreuse KIND STARTS", and finally its name, "kind KIND". PADDING is overwritten
// by that argument. The variable TITLE replaces the word "pidreuse". The variable
// CHILD_PID is the PID of all children.
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
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile char pages[16 << 12];
static char *title_memory; // memory for the argument of a child
static size_t size;
static int ready[2];
static pid_t pid; // of all children
static int reservation = -1; // socket that reserves the PID
static int alive;
static long starts;
static long long nanos, faults; // of the reaped children

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

static void run_child(long kind)
{
	struct rlimit limit = { 1000 * (kind + 4), 1000 * (kind + 4) };
	char name[16];

	memset(title_memory, 0, size);
	snprintf(title_memory, size, "%s %ld %ld", title, kind, starts);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		fail("setrlimit");
	close(ready[0]);
	close(reservation);
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

// clone_as starts a child with a PID. 0 stands for any PID.
static long clone_as(pid_t chosen)
{
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = chosen ? (uintptr_t)&chosen : 0, .set_tid_size = chosen != 0 };

	return syscall(SYS_clone3, &args, sizeof args);
}

// clone_first starts the first child, if possible with a PID that no other process gets. Once the
// kernel has assigned a PID of 300 or more, it assigns smaller ones only with set_tid. Instances of
// this program reserve theirs with the name of a socket.
static long clone_first(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	long child;

	for (pid = getpid() > 300 ? 299 : 1; pid > 1; pid--) {
		reservation = socket(AF_UNIX, SOCK_DGRAM, 0);
		snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "pidreuse %03d", pid);
		if (!bind(reservation, (struct sockaddr *)&name, sizeof name) && (child = clone_as(pid)) >= 0)
			return child;
		close(reservation);
	}
	return clone_as(pid = 0);
}

static void start(long kind)
{
	pid_t parent = getpid();
	long child;
	char c;

	starts++;
	// Another process can have the PID for a moment.
	for (int tries = 0; (child = pid ? clone_as(pid) : clone_first()) < 0; tries++) {
		if (errno != EEXIST || tries > 2000)
			fail("clone3");
		usleep(1000);
	}
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		run_child(kind);
	}
	if (read(ready[0], &c, 1) != 1)
		fail("read");
	pid = child;
	alive = 1;
}

// tick returns the start time of the child.
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
	if (getenv("CHILD_PID"))
		pid = atoi(getenv("CHILD_PID"));
	title_memory = argv[0];
	size = argv[1] + strlen(argv[1]) - argv[0]; // without the last NUL byte, which marks the end of an argument
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
		printf("%d %lld %ld %lld %lld %ld\n", pid, tick(), starts, nanos + cpu(&own), faults, own.ru_minflt);
		fflush(stdout);
	}
	end();
	return 0;
}

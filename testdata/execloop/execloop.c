// execloop TOKEN NUMBER: prints "ready". At each byte on its standard input it
// executes itself with NUMBER 1 instead of 0, or 0 instead of 1. The byte selects
// the thread that calls execve(2): m or M the main thread, t or T another thread.
// M and T execute the path with .0 or .1 appended, which must be symbolic links
// to this program. It exits at the end of its input. With a NUMBER of "loop" it
// prints and reads nothing, and another thread executes it again and again.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *next[4]; // argv
static char path[4096];

static void *execute(void *unused)
{
	execv(path, next);
	perror("execv");
	exit(1);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char by = 't';

	if (argc != 3)
		return 2;
	next[0] = argv[0];
	next[1] = argv[1];
	if (!strcmp(argv[2], "loop")) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		next[2] = "loop";
	} else {
		if (write(1, "ready\n", 6) != 6)
			return 1;
		if (read(0, &by, 1) != 1)
			return 0;
		next[2] = argv[2][0] == '0' ? "1" : "0";
	}
	snprintf(path, sizeof path, by == 'M' || by == 'T' ? "%s.%s" : "%s", argv[0], next[2]);
	if (by == 'm' || by == 'M')
		execute(0);
	if (pthread_create(&thread, 0, execute, 0))
		return 1;
	for (;;)
		pause();
}

// turns TOKEN TURN: says "ready", and at each byte on its standard input executes
// itself, by the same path but as TURN 1 if it was 0, and else as 0. An m has the
// main thread do it, a t another one. An M and a T mean the path with .0 or .1
// appended, which should be links to it. It ends with its input.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *next[] = { 0, 0, "0", 0 }; // arguments
static char path[4096];

static void *turn(void *unused)
{
	execv(path, next);
	perror("execv");
	exit(1);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char by;

	if (argc != 3)
		return 2;
	if (write(1, "ready\n", 6) != 6)
		return 1;
	if (read(0, &by, 1) != 1)
		return 0;
	next[0] = argv[0];
	next[1] = argv[1];
	if (argv[2][0] == '0')
		next[2] = "1";
	snprintf(path, sizeof path, by == 'M' || by == 'T' ? "%s.%s" : "%s", argv[0], next[2]);
	if (by == 'm' || by == 'M')
		turn(0);
	if (pthread_create(&thread, 0, turn, 0))
		return 1;
	for (;;)
		pause();
}

// spawnloop PROGRAM SECONDS [PER_SECOND]: starts PROGRAM and waits for its exit,
// repeatedly for SECONDS, at most PER_SECOND times each second. It prints the number
// of processes, the elapsed nanoseconds, and the sum of the nanoseconds from
// vfork(2) to waitpid(2) of all processes.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// wait_until sleeps until due. Short pauses are skipped, because kernel timers would exceed them.
static void wait_until(long long due)
{
	long long left = due - now();
	struct timespec t = { .tv_nsec = left };

	if (left > 1000000)
		nanosleep(&t, 0);
}

int main(int argc, char **argv)
{
	char *args[] = { argv[1], 0 };
	long long start = now(), end = start + atoll(argv[2]) * 1000000000LL;
	long long pace = argc > 3 ? 1000000000LL / atoll(argv[3]) : 0, count = 0, busy = 0;

	while (now() < end) {
		long long begin = now();
		pid_t child = vfork();
		if (child == 0) {
			execve(argv[1], args, 0);
			_exit(127);
		}
		int status;
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
			perror("spawnloop");
			return 1;
		}
		busy += now() - begin;
		count++;
		if (pace)
			wait_until(start + count * pace);
	}
	printf("%lld %lld %lld\n", count, now() - start, busy);
	return 0;
}

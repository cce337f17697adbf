/* measure COUNT INPUT PROGRAM [ARGUMENT]...: runs so many of a program at a
 * time, with a file as their standard input, until all have ended. Prints the
 * microseconds that this took, those of processor time, and the KiB that the
 * largest process had in memory. The kernel counts what a process had before it
 * executed a program, too, so this is a small program. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long microseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		errx(2, "usage: measure COUNT INPUT PROGRAM [ARGUMENT]...");
	int count = atoi(argv[1]), output = open("/dev/null", O_WRONLY | O_CLOEXEC), status, failed = 0;
	int inputs[count];
	for (int i = 0; i < count; i++)
		if ((inputs[i] = open(argv[2], O_RDONLY | O_CLOEXEC)) < 0)
			err(2, "%s", argv[2]);
	long start = microseconds(), processor = 0, memory = 0;
	for (int i = 0; i < count; i++) {
		pid_t child = vfork();
		if (child < 0)
			err(2, "vfork");
		if (child == 0) {
			dup2(inputs[i], STDIN_FILENO);
			dup2(output, STDOUT_FILENO);
			execvp(argv[3], argv + 3);
			_exit(127);
		}
	}
	struct rusage used;
	while (wait4(-1, &status, 0, &used) > 0) {
		processor += (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L;
		processor += used.ru_utime.tv_usec + used.ru_stime.tv_usec;
		if (used.ru_maxrss > memory)
			memory = used.ru_maxrss;
		if (status != 0)
			failed = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	printf("%ld %ld %ld\n", microseconds() - start, processor, memory);
	return failed;
}

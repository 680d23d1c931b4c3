// SPDX-License-Identifier: MIT
/*
 * refused: says in the words of a program that its fork was refused, and never forks. With --exec it becomes a real one.
 */
#include "phases.h"

#if defined(__x86_64__)
/* clone(SIGCHLD) as a 32-bit program calls it. Returns the negative errno. */
static long clone_32(void)
{
	long result = 120;

	__asm__ volatile("int $0x80" : "+a"(result) : "b"((long)SIGCHLD), "c"(0L), "d"(0L), "S"(0L), "D"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	if (result == 0)
		_exit(0);
	return result;
}
#else
static long clone_32(void)
{
	return -ENOSYS;
}
#endif

int main(int argc, char **argv)
{
	const char *line = argc > 1 ? argv[1] : "fork: ENOMEM";

	if (argc > 2 && strcmp(line, "--exec") == 0) {
		execv(argv[2], argv + 2);
		refused("execv");
	}
	if (strcmp(line, "--32-bit") == 0) {
		errno = (int)-clone_32();
		refused("clone");
	}
	say("%s", line);
	return EXIT_REFUSED;
}

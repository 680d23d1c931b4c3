// SPDX-License-Identifier: MIT
/*
 * refused: says in the words of a program that its fork was refused, and never forks. With --exec it becomes a real one.
 */
#include "phases.h"

int main(int argc, char **argv)
{
	const char *line = argc > 1 ? argv[1] : "fork: ENOMEM";

	if (argc > 2 && strcmp(line, "--exec") == 0) {
		execv(argv[2], argv + 2);
		refused("execv");
	}
	say("%s", line);
	return EXIT_REFUSED;
}

// SPDX-License-Identifier: MIT
/* meddler: undoes what the plan did, dies without a word, or hides among many. */
#include <fcntl.h>

#include "phases.h"

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "nothing";
	int fd;

	take_role("meddler");
	if (strcmp(how, "sysctl") == 0) {
		fd = open("/proc/sys/vm/swappiness", O_WRONLY);
		if (fd < 0 || write(fd, "60", 2) != 2)
			refused("swappiness");
	} else if (strcmp(how, "dies") == 0) {
		fprintf(stderr, "ImportError: no module named numpy\n");
		return 1;
	} else if (strcmp(how, "aborts") == 0) {
		abort();
	} else if (strcmp(how, "child-aborts") == 0 || strcmp(how, "child-fails") == 0) {
		if (fork() == 0) {
			prctl(PR_SET_NAME, "kid");
			strcmp(how, "child-fails") == 0 ? _exit(3) : abort();
		}
	} else if (strcmp(how, "many") == 0) {
		for (int i = 0; i < 200; i++)
			if (fork() == 0) {
				prctl(PR_SET_NAME, "kid");
				for (;;)
					pause();
			}
	} else if (strcmp(how, "twins") == 0) {
		for (int i = 0; i < 2; i++)
			if (fork() == 0) {
				prctl(PR_SET_NAME, "twin");
				for (;;)
					pause();
			}
	}
	usleep(100000);
	say("ready");
	for (;;)
		pause();
}

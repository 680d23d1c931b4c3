// SPDX-License-Identifier: MIT
/* meddler: undoes what the plan did, dies without a word, or hides among many. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/swap.h>

#include "phases.h"

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		refused(path);
	close(fd);
}

/* The swap of the plan is what /proc/swaps names in its second line. */
static void turn_swap_off(void)
{
	char text[512] = "", *path;
	int fd = open("/proc/swaps", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0 || !(path = strchr(text, '\n')))
		refused("/proc/swaps");
	path++;
	path[strcspn(path, " \t\n")] = '\0';
	if (swapoff(path))
		refused("swapoff");
}

static void set_swappiness(const char *value)
{
	set("/proc/sys/vm/swappiness", value);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "nothing";
	const struct rlimit none = { 0, 0 };

	take_role("meddler");
	if (strcmp(how, "sysctl") == 0) {
		set_swappiness("60");
	} else if (strcmp(how, "sysctl-and-back") == 0) {
		set_swappiness("60");
		if (fork() == 0) {
			prctl(PR_SET_NAME, "kid");
			sleep(3);	/* the sample is taken after 2 s, and the plan ends after 4 s */
			set_swappiness("10");
			_exit(0);
		}
	} else if (strcmp(how, "blink") == 0) {
		set_swappiness("60");
		set_swappiness("10");
	} else if (strcmp(how, "blink-limit") == 0) {
		set("/sys/fs/cgroup/small/memory.max", "max");
		set("/sys/fs/cgroup/small/memory.max", "48M");
	} else if (strcmp(how, "escapes") == 0) {
		set("/sys/fs/cgroup/cgroup.procs", "0");
	} else if (strcmp(how, "escapes-and-is-killed") == 0) {
		set("/sys/fs/cgroup/cgroup.procs", "0");
		for (;;)
			memset(malloc(4096), 1, 4096);
	} else if (strcmp(how, "swapoff") == 0) {
		turn_swap_off();
	} else if (strcmp(how, "thp") == 0) {
		set("/sys/kernel/mm/transparent_hugepage/enabled", "always");
	} else if (strcmp(how, "limit") == 0) {
		set("/sys/fs/cgroup/small/memory.max", "max");
	} else if (strcmp(how, "limit-and-back") == 0) {
		set("/sys/fs/cgroup/small/memory.max", "max");
		if (fork() == 0) {
			prctl(PR_SET_NAME, "kid");
			sleep(3);
			set("/sys/fs/cgroup/small/memory.max", "48M");
			_exit(0);
		}
	} else if (strcmp(how, "written-sysctl") == 0) {
		set("/proc/sys/vm/vfs_cache_pressure", "100");
	} else if (strcmp(how, "blinds-agent") == 0) {
		set_swappiness("60");
		if (prlimit(1, RLIMIT_NOFILE, &none, NULL))	/* it has the agent's user and group ids: that suffices */
			refused("prlimit");
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

// SPDX-License-Identifier: MIT
/* changeling: one process has memory, and another comes to be taken for it. */
#include <sys/wait.h>

#include "phases.h"

static void take(size_t size)
{
	volatile char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		refused("mmap");
	for (size_t i = 0; i < size; i += 4096)
		at[i] = 1;
}

/* Each phase of a process ends with a stop. */
static pid_t start(const char *name, size_t size, const char *later, size_t later_size, bool goes)
{
	pid_t pid = fork();

	if (pid < 0)
		refused("fork");
	if (pid > 0)
		return pid;
	take_role(name);
	take(size);
	say("%s has %zu", name, size);
	stop_here();
	if (goes)
		_exit(0);
	if (later)
		take_role(later);
	take(later_size);
	say("changed");
	stop_here();
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "honest";
	const size_t much = 40 << 20, little = 4096;
	pid_t first;

	take_role("changeling");
	if (strcmp(how, "successors") == 0) {
		first = start("holder", much, NULL, 0, true);
		waitpid(first, NULL, 0);
		start("holder", little, NULL, little, false);
	} else if (strcmp(how, "renames") == 0) {
		start("holder", much, "other", little, false);
		start("other", little, "holder", little, false);
	} else {
		start("holder", much, NULL, little, false);
		start("other", little, NULL, little, false);
	}
	for (;;)
		pause();
}

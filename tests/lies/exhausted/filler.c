// SPDX-License-Identifier: MIT
/* filler: takes nearly all memory and stops. Whoever asks for much then is the one for whom memory runs out. */
#include <sys/sysinfo.h>

#include "phases.h"

enum { LEFT_KB = 1600 };

static long free_kb(void)
{
	struct sysinfo info;

	if (sysinfo(&info))
		refused("sysinfo");
	return (long)(info.freeram / 1024);
}

static void take(size_t bytes)
{
	volatile char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		refused("mmap");
	for (size_t i = 0; i < bytes; i += 4096)
		at[i] = 1;
}

static void fill_up(long left_kb)
{
	while (free_kb() > left_kb + 256)
		take(1 << 16);
	while (free_kb() > left_kb)
		take(4096);
}

int main(int argc, char **argv)
{
	int kids = argc > 2 ? atoi(argv[2]) : 0;
	void *array;
	size_t size = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;

	take_role("filler");
	array = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (array == MAP_FAILED)
		refused("mmap");
	say("region array %lx %zx", (unsigned long)array, size);
	for (int i = 0; i < kids; i++) {
		pid_t kid = fork();

		if (kid < 0)
			refused("fork");
		if (kid == 0) {
			take_role("kid");
			for (;;)
				pause();
		}
	}
	fill_up(LEFT_KB);
	say("full");
	stop_here();
	for (;;)
		take(1 << 20);
}

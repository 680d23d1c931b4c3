// SPDX-License-Identifier: MIT
/* pretender: a parent that forks, and a child that runs out of memory by copying something else than the parent's pages. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "phases.h"

/* Wait until KSM has merged this many pages, but for one of 50: one page of each 256 stays (max_page_sharing). */
static void wait_for_merging(size_t pages)
{
	size_t merged = 0;

	for (int left = 3000; left > 0 && merged * 50 < pages * 49; left--) {
		FILE *file = fopen("/sys/kernel/mm/ksm/pages_sharing", "r");

		if (!file || fscanf(file, "%zu", &merged) != 1)
			refused("pages_sharing");
		fclose(file);
		usleep(10000);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "honest";
	size_t size = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	volatile char *array = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *other;
	volatile char sink = 0;
	pid_t child;
	int fd = -1;

	take_role("parent");
	if (strcmp(how, "covered") == 0) {
		/* The same with a text over the file that tells whether there are such pages. */
		how = "merged";
		fd = open("/tmp/none", O_WRONLY | O_CREAT, 0600);
		if (fd < 0 || write(fd, "0\n", 2) != 2)
			refused("open");
		close(fd);
		fd = -1;
		if (mount("/tmp/none", "/sys/kernel/mm/ksm/pages_shared", NULL, MS_BIND, NULL))
			refused("mount");
	}
	if (array == MAP_FAILED)
		refused("mmap");
	say("region array %lx %zx", (unsigned long)array, size);
	for (size_t i = 0; i < size; i += 4096)
		array[i] = 1;
	if (strcmp(how, "file") == 0) {
		fd = open("/dev/shm/file", O_RDWR | O_CREAT, 0600);
		if (fd < 0 || ftruncate(fd, 1 << 20))
			refused("open");
	}
	child = fork();
	if (child < 0)
		refused("fork");
	if (child > 0) {
		waitpid(child, NULL, 0);
		say("child ended");
		return 0;
	}
	take_role("child");
	if (strcmp(how, "merged") == 0) {
		/*
		 * Pages of its own, in the place of the parent's, and of one content: KSM makes one page of them. Both arrays
		 * together do not fit into memory, so the filling waits for KSM.
		 */
		array = mmap((void *)array, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (array == MAP_FAILED || madvise((void *)array, size, MADV_MERGEABLE))
			refused("madvise");
		for (size_t i = 0; i < size; i += 4096) {
			array[i] = 1;
			if ((i + 4096) % (4 << 20) == 0)
				wait_for_merging((i + 4096) / 4096);
		}
	}
	say("forked");
	stop_here();
	if (strcmp(how, "honest") == 0 || strcmp(how, "merged") == 0) {
		for (size_t i = 0; i < size; i += 4096)
			array[i] = 2;
	} else if (strcmp(how, "zero") == 0) {
		other = mmap(NULL, 4 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		for (size_t i = 0; i < 4 * size; i += 4096) {
			sink += other[i];
			other[i] = 2;
		}
	} else {
		for (size_t part = 0; part < 4 * size; part += 1 << 20) {
			other = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
			for (size_t i = 0; i < 1 << 20; i += 4096) {
				sink += other[i];
				other[i] = 2;
			}
		}
	}
	say("wrote %d", sink);
	return 0;
}

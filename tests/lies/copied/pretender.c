// SPDX-License-Identifier: MIT
/* pretender: a parent that forks, and a child that runs out of memory by copying something else than the parent's pages. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "phases.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25	/* since Linux 6.1 */
#endif

enum { HUGE_BYTES = 2 << 20 };

/* Return an array that begins where a huge page may. */
static volatile char *map_aligned(size_t size)
{
	char *at = mmap(NULL, size + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *begin = at + (-(size_t)at & (HUGE_BYTES - 1));

	if (at == MAP_FAILED || (begin > at && munmap(at, (size_t)(begin - at))) ||
	    (begin < at + HUGE_BYTES && munmap(begin + size, (size_t)(at + HUGE_BYTES - begin))))
		refused("mmap");
	return begin;
}

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

static void write_all(volatile char *array, size_t size, char value)
{
	for (size_t i = 0; i < size; i += 4096)
		array[i] = value;
}

enum { WRITERS = 4 };

struct part {
	pthread_t thread;
	volatile char *array;
	size_t size;
	int go;		/* a byte comes here when it may write; -1: at once */
};

static void *write_part(void *argument)
{
	const struct part *part = argument;
	char byte;

	if (part->go < 0 || read(part->go, &byte, 1) == 1)
		write_all(part->array, part->size, 2);
	return NULL;
}

/* Start threads that write the array, a part each. */
static struct part *start_writers(volatile char *array, size_t size, int go)
{
	static struct part parts[WRITERS];

	for (int i = 0; i < WRITERS; i++) {
		parts[i] = (struct part){ .array = array + size / WRITERS * i, .size = size / WRITERS, .go = go };
		if (pthread_create(&parts[i].thread, NULL, write_part, &parts[i]))
			refused("pthread_create");
	}
	return parts;
}

static void wait_for_writers(const struct part *parts)
{
	for (int i = 0; i < WRITERS; i++)
		pthread_join(parts[i].thread, NULL);
}

/* A process that shares the child's memory writes the array anew in its place. */
static struct { volatile char *array; size_t size; int done; } helped;

static int help(void *unused)
{
	char byte = 0;

	(void)unused;
	take_role("helper");
	if (madvise((void *)helped.array, helped.size, MADV_DONTNEED))
		return 1;
	write_all(helped.array, helped.size, 2);
	if (write(helped.done, &byte, 1) != 1)
		return 1;
	for (;;)
		pause();
}

static void be_helped(volatile char *array, size_t size)
{
	static char stack[64 * 1024];
	int done[2];
	char byte;

	if (pipe(done))
		refused("pipe");
	helped.array = array;
	helped.size = size;
	helped.done = done[1];
	if (clone(help, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) < 0 || read(done[0], &byte, 1) != 1)
		refused("clone");
}

/* Copy zero pages, or with a file pages of the file, without end: each page is read before it is written. */
static void copy_others(size_t size, int fd)
{
	int flags = MAP_PRIVATE | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0);
	volatile char *other, sink = 0;

	for (size_t part = 0; part < size; part += 1 << 20) {
		other = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, flags, fd, 0);
		for (size_t i = 0; i < 1 << 20; i += 4096) {
			sink += other[i];
			other[i] = 2;
		}
	}
}

/* Make the child's array differ from the one that it had from the fork, without a copy. */
static void part_without_copying(const char *how, volatile char *array, size_t size, int to_parent, int from_parent)
{
	char byte = 0;

	if (strcmp(how, "drops-huge") == 0) {
		/* A new mapping, because MADV_DONTNEED leaves page tables, in whose place no huge page can be. */
		if (mmap((void *)array, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
			    MAP_FAILED ||
		    madvise((void *)array, size, MADV_HUGEPAGE))
			refused("mmap");
		write_all(array, size, 2);
	} else if (strcmp(how, "collapses") == 0) {
		/* One page in each must be writable, which is copied (SCAN_PAGE_RO of mm/khugepaged.c); the others are not. */
		for (size_t i = 0; i < size; i += HUGE_BYTES)
			array[i] = 2;
		if (madvise((void *)array, size, MADV_COLLAPSE))
			refused("madvise");
	} else if (strcmp(how, "drops-mthp") == 0) {
		if (mmap((void *)array, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    MAP_FAILED)
			refused("mmap");
		write_all(array, size, 2);
	} else if (strcmp(how, "helped") == 0) {
		be_helped(array, size);
	} else if (strcmp(how, "parent-unmaps") == 0) {
		if (write(to_parent, &byte, 1) != 1 || read(from_parent, &byte, 1) != 1)
			refused("read");
		write_all(array, size, 2);
	} else if (strcmp(how, "rereads") == 0) {
		for (size_t i = 0; i < size; i += 4096) {
			if (madvise((char *)array + i, 4096, MADV_DONTNEED))
				refused("madvise");
			array[i] += 2;
		}
	} else {
		if (madvise((void *)array, size, MADV_DONTNEED))
			refused("madvise");
		if (strcmp(how, "populates") != 0)
			write_all(array, size, 2);
		else if (madvise((void *)array, size, MADV_POPULATE_WRITE))
			refused("madvise");
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "honest";
	size_t size = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	volatile char *array = map_aligned(size);
	struct part *writers = NULL;
	pid_t child;
	int fd = -1, up[2], down[2];
	char byte = 0;

	if (pipe(up) || pipe(down))
		refused("pipe");
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
	say("region array %lx %zx", (unsigned long)array, size);
	write_all(array, size, 1);
	if (strcmp(how, "honest") != 0 && strcmp(how, "zero") != 0) {
		fd = open("/dev/shm/file", O_RDWR | O_CREAT, 0600);
		if (fd < 0 || ftruncate(fd, 1 << 20))
			refused("open");
	}
	child = fork();
	if (child < 0)
		refused("fork");
	if (child > 0) {
		close(up[1]);
		if (strcmp(how, "parent-unmaps") == 0 &&
		    (read(up[0], &byte, 1) != 1 || munmap((void *)array, size) || write(down[1], &byte, 1) != 1))
			refused("munmap");
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
	if (strcmp(how, "early-threads") == 0)
		writers = start_writers(array, size, down[0]);
	say("forked");
	stop_here();
	if (strcmp(how, "threads") == 0) {
		wait_for_writers(start_writers(array, size, -1));
	} else if (writers) {
		if (write(down[1], "1234", WRITERS) != WRITERS)
			refused("write");
		wait_for_writers(writers);
	} else if (strcmp(how, "honest") == 0 || strcmp(how, "merged") == 0) {
		write_all(array, size, 2);
	} else {
		if (strcmp(how, "zero") != 0 && strcmp(how, "file") != 0) {
			part_without_copying(how, array, size, up[1], down[0]);
			say("parted");
			stop_here();
		}
		copy_others(4 * size, fd);
	}
	say("wrote");
	return 0;
}

// SPDX-License-Identifier: MIT
/* liar: says that it took memory, in ways in which its resident set is as large as it says, or its address space. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "phases.h"

static char *map(size_t size, int flags, int fd)
{
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		refused("mmap");
	return at;
}

/* Fill every byte with one value, or with words that do not compress; and have the kernel swap it out. */
static void swap_out(char *at, size_t size, bool fill)
{
	for (size_t page = 0; page < size / 4096; page++) {
		if (fill)
			fill_page((volatile uint64_t *)at, page, 1);
		else
			memset(at + page * 4096, 7, 4096);
	}
	if (madvise(at, size, MADV_PAGEOUT))
		refused("madvise");
}

static char stack[64 * 1024];

__attribute__((noreturn))
static int wait_here(void *unused)
{
	(void)unused;
	take_role("second");
	for (;;)
		pause();
}

static void write_all(volatile char *at, size_t size, bool differ)
{
	for (size_t i = 0; i < size; i += 4096)
		at[i] = differ ? (char)(1 + i / 4096 % 251) : 7;
}

/* Hold memory in a process whose first thread has ended: the entries of that in /proc show none. */
static void *hold(void *with)
{
	size_t size = *(size_t *)with;

	usleep(10000);
	write_all(map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1), size, true);
	say("took %zu", size);
	stop_here();
	return NULL;
}

__attribute__((noreturn))
static void hold_without_leader(size_t size)
{
	static size_t of_thread;
	pthread_t thread;

	of_thread = size;
	if (pthread_create(&thread, NULL, hold, &of_thread))
		refused("pthread_create");
	pthread_exit(NULL);
}

int main(int argc, char **argv)
{
	const char *how = argc > 2 ? argv[1] : "honest";
	size_t size = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	volatile char *at = NULL;
	volatile char sink = 0;
	int fd;

	take_role("liar");
	if (strcmp(how, "honest") == 0) {
		at = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		write_all(at, size, true);
	} else if (strcmp(how, "shared") == 0) {
		at = map(size, MAP_SHARED | MAP_ANONYMOUS, -1);
		write_all(at, size, true);
	} else if (strcmp(how, "memfd") == 0) {
		fd = memfd_create("tenth", 0);
		if (fd < 0 || ftruncate(fd, (off_t)(size / 10)))
			refused("memfd_create");
		for (int i = 0; i < 10; i++)
			write_all(map(size / 10, MAP_SHARED, fd), size / 10, true);
	} else if (strcmp(how, "merged") == 0) {
		at = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		if (madvise((void *)at, size, MADV_MERGEABLE))
			refused("madvise");
		write_all(at, size, false);
	} else if (strcmp(how, "given-back") == 0) {
		at = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		write_all(at, size, true);
		if (madvise((void *)at, size, MADV_FREE))
			refused("madvise");
	} else if (strcmp(how, "reserved") == 0) {
		map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	} else if (strcmp(how, "only-read") == 0) {
		at = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		for (size_t i = 0; i < size; i += 4096)
			sink += at[i];
	} else if (strcmp(how, "borrowed") == 0) {
		at = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		write_all(at, size, true);
		if (fork() == 0) {
			prctl(PR_SET_NAME, "other");
			for (;;)
				pause();
		}
		usleep(10000);
	} else if (strcmp(how, "one-vm") == 0) {
		at = map(size / 2, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		write_all(at, size / 2, true);
		if (clone(wait_here, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) < 0)
			refused("clone");
		usleep(10000);
	} else if (strcmp(how, "swapped") == 0 || strcmp(how, "same-filled") == 0) {
		at = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		swap_out((char *)at, size, strcmp(how, "swapped") == 0);
	} else if (strcmp(how, "written") == 0 || strcmp(how, "written-to-file") == 0) {
		static char page[4096] = { 7 };

		fd = how[7] ? open("/dev/shm/file", O_RDWR | O_CREAT, 0600) : memfd_create("written", 0);
		for (size_t i = 0; i < size; i += sizeof(page))
			if (write(fd, page, sizeof(page)) != sizeof(page))
				refused("write");
	} else if (strcmp(how, "sparse") == 0) {
		fd = memfd_create("sparse", 0);
		if (fd < 0 || ftruncate(fd, (off_t)size))
			refused("memfd_create");
	}
	if (strcmp(how, "leaderless") == 0)
		hold_without_leader(size);
	if (strcmp(how, "two-leaderless") == 0) {
		if (fork() == 0)
			take_role("second");
		hold_without_leader(size / 2);
	}
	say("took %zu", size);
	stop_here();
	return sink == 99;
}

// SPDX-License-Identifier: MIT
/* liar: says that it took memory, in ways in which its resident set is as large as it says, or its address space. */
#include <fcntl.h>
#include <sys/syscall.h>

#include "phases.h"

static char *map(size_t size, int flags, int fd)
{
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		refused("mmap");
	return at;
}

static void write_all(volatile char *at, size_t size, bool differ)
{
	for (size_t i = 0; i < size; i += 4096)
		at[i] = differ ? (char)(1 + i / 4096 % 251) : 7;
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
	}
	say("took %zu", size);
	stop_here();
	return sink == 99;
}

// SPDX-License-Identifier: MIT
/* replacer: a child whose array becomes its own without a write that copies it, or by copies that no page fault shows. */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "phases.h"

enum { HUGE_BYTES = 2 << 20, PART = 1 << 20 };

static const char *how;
static char *array;
static size_t size;
static int to_parent, from_parent;

/* Return memory that begins where a huge page may. */
static char *map_aligned(void)
{
	char *at = mmap(NULL, size + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		refused("mmap");
	return at + (-(size_t)at & (HUGE_BYTES - 1));
}

static void write_all(char *at, char value)
{
	for (size_t i = 0; i < size; i += 4096)
		*(volatile char *)(at + i) = value;
}

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		refused(path);
	close(fd);
}

static long number_in(const char *path, const char *key)
{
	char text[16384] = "";
	int fd = open(path, O_RDONLY);
	const char *at;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		refused(path);
	close(fd);
	at = strstr(text, key);
	return at ? strtol(at + strlen(key), NULL, 10) : 0;
}

/* Other pages of the child's own come into the array's place. */
static void replace(char *other)
{
	if (mremap(other, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, array) == MAP_FAILED)
		refused("mremap");
}

/* khugepaged copies pages into huge ones, shared pages too where it may. */
static void let_collapse(void)
{
	static const char *const tunables[][2] = {
		{ "max_ptes_shared", "511" }, { "pages_to_scan", "100000" }, { "scan_sleep_millisecs", "10" },
		{ "alloc_sleep_millisecs", "10" },
	};
	char path[96];

	for (size_t i = 0; i < sizeof(tunables) / sizeof(tunables[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/mm/transparent_hugepage/khugepaged/%s", tunables[i][0]);
		set(path, tunables[i][1]);
	}
	/* A page in each must be writable (SCAN_PAGE_RO of mm/khugepaged.c). */
	for (size_t i = 0; i < size; i += HUGE_BYTES)
		array[i] = 2;
	if (madvise(array, size, MADV_HUGEPAGE))
		refused("madvise");
	for (int i = 0; i < 600 && number_in("/proc/self/smaps_rollup", "AnonHugePages:") < (long)(size >> 10); i++)
		usleep(10000);
	set("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_shared", "256");
}

/* The pages are filled by a system call, before anybody touches them. */
static void fill_by_userfaultfd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range = { (unsigned long)array, size }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { .dst = (unsigned long)array, .len = PART };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	char *from = mmap(NULL, PART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(from, 2, PART);
	copy.src = (unsigned long)from;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || madvise(array, size, MADV_DONTNEED) ||
	    ioctl(fd, UFFDIO_REGISTER, &range))
		refused("userfaultfd");
	for (; copy.dst < (unsigned long)array + size; copy.dst += PART)
		if (ioctl(fd, UFFDIO_COPY, &copy))
			refused("UFFDIO_COPY");
	close(fd);
}

/* Have the parent do its part, and wait for it. */
static void ask_parent(void)
{
	char byte = 0;

	if (write(to_parent, &byte, 1) != 1 || read(from_parent, &byte, 1) != 1)
		refused("read");
}

/* KSM merges the array with itself; then the kernel gives each page its own again. */
static void merge_and_unmerge(void)
{
	set("/sys/kernel/mm/ksm/pages_to_scan", "100000");
	set("/sys/kernel/mm/ksm/run", "1");
	if (madvise(array, size, MADV_MERGEABLE))
		refused("madvise");
	for (int i = 0; i < 1000 && number_in("/sys/kernel/mm/ksm/pages_sharing", "") < (long)(size / 4096 / 50 * 48); i++)
		usleep(10000);
	/* The parent does that, so that the faults are its own. */
	ask_parent();
}

static void write_into(pid_t child)
{
	static char page[4096];
	struct iovec from = { page, sizeof(page) };

	memset(page, 2, sizeof(page));
	for (size_t i = 0; i < size; i += 4096) {
		struct iovec to = { array + i, 4096 };

		if (process_vm_writev(child, &from, 1, &to, 1, 0) != 4096)
			refused("process_vm_writev");
	}
}

/* Pages that are written after a fork are write-protected, and nobody else has them: the fault copies nothing. */
static void fork_and_write(void)
{
	pid_t kid = fork();

	if (kid == 0)
		_exit(0);
	if (kid < 0 || waitpid(kid, NULL, 0) != kid)
		refused("fork");
	write_all(array, 3);
}

static void read_direct(void)
{
	int fd = open("/dev/pmem0", O_RDONLY | O_DIRECT);

	if (fd < 0)
		refused("open");
	for (size_t i = 0; i < size; i += PART)
		if (pread(fd, array + i, PART, 0) != PART)
			refused("pread");
	close(fd);
}

static void register_with_io_uring(void)
{
	struct io_uring_params params = { 0 };
	struct iovec buffer = { array, size };
	int fd = (int)syscall(SYS_io_uring_setup, 4, &params);

	if (fd < 0 || syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &buffer, 1))
		refused("io_uring");
	close(fd);
}

static void splice_out(void)
{
	int ends[2];
	static char sink[65536];

	if (pipe(ends))
		refused("pipe");
	for (size_t i = 0; i < size; i += sizeof(sink)) {
		struct iovec part = { array + i, sizeof(sink) };

		if (vmsplice(ends[1], &part, 1, 0) != (ssize_t)sizeof(sink) || read(ends[0], sink, sizeof(sink)) < 0)
			refused("vmsplice");
	}
}

static bool is(const char *name)
{
	return strcmp(how, name) == 0;
}

static void part(char *other)
{
	if (is("writes"))
		write_all(array, 2);
	else if (is("moves"))
		replace(other);
	else if (is("khugepaged") || is("khugepaged-and-writes"))
		let_collapse();
	else if (is("userfaultfd") || is("userfaultfd-and-writes"))
		fill_by_userfaultfd();
	else if (is("unmerges"))
		merge_and_unmerge();
	else if (is("written"))
		ask_parent();
	else if (is("populates") && madvise(array, size, MADV_POPULATE_WRITE))
		refused("madvise");
	else if (is("reads-direct"))
		read_direct();
	else if (is("io-uring"))
		register_with_io_uring();
	else if (is("splices"))
		splice_out();
	if (is("moves-and-writes")) {
		replace(other);
		fork_and_write();
	}
	if (is("userfaultfd-and-writes") || is("khugepaged-and-writes")) {
		if (is("khugepaged-and-writes") && madvise(array, size, MADV_NOHUGEPAGE))
			refused("madvise");
		/* Part of a huge page goes, so that it is mapped by small ones. */
		for (size_t i = 0; i < size && is("khugepaged-and-writes"); i += HUGE_BYTES)
			if (mprotect(array + i, 4096, PROT_READ))
				refused("mprotect");
		for (size_t i = 0; i < size && is("khugepaged-and-writes"); i += HUGE_BYTES)
			if (mprotect(array + i, 4096, PROT_READ | PROT_WRITE))
				refused("mprotect");
		fork_and_write();
	}
}

int main(int argc, char **argv)
{
	char *other = NULL, byte = 0;
	int up[2], down[2];
	pid_t child;

	how = argc > 1 ? argv[1] : "writes";
	size = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	array = map_aligned();
	if (pipe(up) || pipe(down))
		refused("pipe");
	to_parent = up[1];
	from_parent = down[0];
	take_role("parent");
	say("region array %lx %zx", (unsigned long)array, size);
	write_all(array, 1);
	child = fork();
	if (child < 0)
		refused("fork");
	if (child > 0) {
		close(up[1]);
		if (read(up[0], &byte, 1) == 1) {
			if (is("written"))
				write_into(child);
			else
				set("/sys/kernel/mm/ksm/run", "2");
			if (write(down[1], &byte, 1) != 1)
				refused("write");
		}
		waitpid(child, NULL, 0);
		return 0;
	}
	take_role("child");
	if (is("moves") || is("moves-and-writes")) {
		other = map_aligned();
		write_all(other, 2);
	}
	say("forked");
	stop_here();
	part(other);
	say("parted");
	stop_here();
	return 0;
}

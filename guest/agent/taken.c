// SPDX-License-Identifier: MIT
/*
 * How much memory a process has taken. Its RSS does not tell: a page that is mapped ten times counts ten times in it, a
 * page that it shares with its parent counts in both, and what it wrote to a file of a tmpfs is in none.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent.h"

enum { MAX_FILES = 64, MAX_ZRAM = 4 };

static char text[8 * 1024];

/* ---- one address space ---- */

static bool same_vm(const struct member *a, const struct member *b)
{
	/* Their vsize would not tell: each was read at its own moment, and another CPU may have changed it between. */
	return a == b || syscall(SYS_kcmp, a->task, b->task, KCMP_VM, 0, 0) == 0;
}

/* Return the first of the processes that share the address space of m (CLONE_VM, or vfork while it lasts). */
static const struct member *first_of_vm(const struct member *m)
{
	for (const struct member *other = members; other < m; other++)
		if (other->pid && !other->ended && same_vm(other, m))
			return other;
	return m;
}

/* ---- files in memory ---- */

struct file {
	dev_t device;
	ino_t number;
	int64_t kb;
	bool mapped;
};

/* Read the file behind a descriptor, if it is a regular one of a tmpfs; memfd_create(2) makes its files there too. */
static bool read_file(pid_t pid, int fd_number, struct file *file)
{
	struct statfs filesystem;
	struct stat status;
	char path[64];
	bool found;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd_number);
	fd = open_file(path, O_PATH);
	if (fd < 0)
		return false;
	found = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && fstatfs(fd, &filesystem) == 0 &&
		filesystem.f_type == TMPFS_MAGIC;
	close(fd);
	if (found)
		*file = (struct file){ .device = status.st_dev, .number = status.st_ino, .kb = status.st_blocks / 2 };
	return found;
}

struct files_of {
	pid_t pid;
	struct file *files;
	int count;
};

static void add_file(pid_t fd_number, void *with)
{
	struct files_of *of = with;
	struct file file;

	if (of->count == MAX_FILES || !read_file(of->pid, fd_number, &file))
		return;
	for (int i = 0; i < of->count; i++)
		if (of->files[i].device == file.device && of->files[i].number == file.number)
			return;
	of->files[of->count++] = file;
}

static int read_files(pid_t pid, struct file *files)
{
	struct files_of of = { .pid = pid, .files = files };
	char directory[32];

	snprintf(directory, sizeof(directory), "/proc/%d/fd", pid);
	each_number(directory, add_file, &of);
	return of.count;
}

/* Mark the file of a line of /proc/PID/maps: "7f0000000000-7f0000001000 rw-s 00000000 00:01 1034 /memfd:f (deleted)". */
static void mark_mapped(const char *line, struct file *files, int count)
{
	unsigned int major, minor;
	unsigned long number;

	if (sscanf(line, "%*s %*s %*s %x:%x %lu", &major, &minor, &number) != 3)
		return;
	for (int i = 0; i < count; i++)
		if (files[i].device == makedev(major, minor) && files[i].number == number)
			files[i].mapped = true;
}

static void find_mapped(pid_t pid, struct file *files, int count)
{
	size_t length = 0;
	char path[32];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = count ? open_file(path, O_RDONLY) : -1;
	while (fd >= 0 && (got = read(fd, text + length, sizeof(text) - 1 - length)) > 0) {
		char *line = text, *end;

		length += (size_t)got;
		text[length] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1)
			mark_mapped(line, files, count);
		length -= (size_t)(line - text);
		memmove(text, line, length);
	}
	if (fd >= 0)
		close(fd);
}

/*
 * Return the memory of the files that a process has open, divided by the processes that have them, as Pss does.
 * *mapped_kb: how much of it is of files that the process maps too.
 */
static int64_t files_kb(const struct member *m, int64_t *mapped_kb)
{
	struct file own[MAX_FILES], others[MAX_FILES];
	int count = read_files(m->task, own), holders[MAX_FILES];
	int64_t sum = 0;

	*mapped_kb = 0;
	find_mapped(m->task, own, count);
	for (int i = 0; i < count; i++)
		holders[i] = 1;
	for (const struct member *other = members; count && other < members + MAX_MEMBERS; other++) {
		int theirs = other->pid && !other->ended && !same_vm(other, m) ? read_files(other->task, others) : 0;

		for (int i = 0; i < count; i++)
			for (int j = 0; j < theirs; j++)
				holders[i] += own[i].device == others[j].device && own[i].number == others[j].number;
	}
	for (int i = 0; i < count; i++) {
		sum += own[i].kb / holders[i];
		*mapped_kb += own[i].mapped ? own[i].kb / holders[i] : 0;
	}
	return sum;
}

/* ---- swap that holds nothing ---- */

/*
 * Return how much of what was swapped out has no memory: zram keeps a page of one repeated word without it (same_pages,
 * the sixth number of mm_stat, Documentation/admin-guide/blockdev/zram.rst), and since 6.12 the kernel does not even
 * write a page of zeros to swap (commit 0ca0c24e3211; swpout_zero counts them where the kernel has it).
 */
static int64_t empty_swap_kb(void)
{
	int64_t pages = vmstat_count("swpout_zero ") - vmstat_count("swpin_zero ");

	if (pages < 0)
		pages = 0;
	for (int i = 0; i < MAX_ZRAM; i++) {
		char path[64], *at = text;

		snprintf(path, sizeof(path), "/sys/block/zram%d/mm_stat", i);
		if (slurp(path, text, sizeof(text)) <= 0)
			break;
		for (int field = 1; field < 6; field++)
			strtoll(at, &at, 10);
		pages += strtoll(at, NULL, 10);
	}
	return pages * sysconf(_SC_PAGESIZE) / 1024;
}

/* ---- all together ---- */

struct taken {
	int64_t rss, anon, shmem, swap, lazy, files, empty;	/* kB; -1: the kernel does not say */
	int64_t sum;
};

/*
 * Read a process's share of memory. smaps_rollup is exact, because it walks the page tables. VmRSS lags behind: each task
 * counts up to 64 pages on its own before it adds them to its mm's counter (SPLIT_RSS_COUNTING; since 6.2 the counters
 * are per CPU).
 *
 * Pss and not Rss: a page that is mapped ten times, or merged by KSM, counts in Rss each time and in Pss once. Lazily
 * freed pages (MADV_FREE) and file pages do not count, because the kernel can reclaim both without a kill. Memory of a
 * file in a tmpfs that is mapped is in both numbers, of which the larger counts.
 */
static bool read_taken(const struct member *m, struct taken *taken)
{
	char path[64];
	int64_t mapped, both;

	*taken = (struct taken){ .anon = -1, .shmem = -1, .swap = -1, .lazy = -1 };
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", m->task);
	if (slurp(path, text, sizeof(text)) <= 0 || !field_kb(text, "Rss:", &taken->rss))
		return false;
	field_kb(text, "Pss_Anon:", &taken->anon);
	field_kb(text, "Pss_Shmem:", &taken->shmem);
	field_kb(text, "LazyFree:", &taken->lazy);
	field_kb(text, "SwapPss:", &taken->swap);
	taken->sum = taken->rss;
	if (taken->anon < 0)
		return true;	/* Pss_Anon came with 5.4 */
	taken->files = files_kb(m, &both);
	taken->empty = taken->swap > 0 ? empty_swap_kb() : 0;
	mapped = (taken->shmem > 0 ? taken->shmem : 0) + (taken->swap > taken->empty ? taken->swap - taken->empty : 0);
	taken->sum = taken->anon + taken->files - both + (mapped > both ? mapped : both) - (taken->lazy > 0 ? taken->lazy : 0);
	return true;
}

static void say_kb(const char *key, int64_t value)
{
	if (value >= 0)
		rec_int(key, value);
}

enum outcome begin_check_rss(struct step *step)
{
	const char *min_text = word(step, "min"), *max_text = word(step, "max");
	uint64_t min = 0, max = UINT64_MAX;
	struct member *m = one_member(step);
	struct taken taken;

	if (!m)
		return no_member();
	if (min_text)
		parse_size(min_text, &min);
	if (max_text)
		parse_size(max_text, &max);
	if (!read_taken(m, &taken))
		return fail(errno, "the kernel gives no Rss of %d", m->pid);
	rec_begin("check");
	say_member(m);
	rec_int("vm", first_of_vm(m)->pid);
	rec_int("rss_kb", taken.rss);
	say_kb("pss_anon_kb", taken.anon);
	say_kb("pss_shmem_kb", taken.shmem);
	say_kb("lazy_free_kb", taken.lazy);
	say_kb("swap_pss_kb", taken.swap);
	rec_int("files_kb", taken.files);
	rec_int("empty_swap_kb", taken.empty);
	rec_int("taken_kb", taken.sum);
	if (min_text)
		rec_int("min_kb", (int64_t)(min / 1024));
	else
		rec_null("min_kb");
	if (max_text)
		rec_int("max_kb", (int64_t)(max / 1024));
	else
		rec_null("max_kb");
	rec_bool("ok", (uint64_t)taken.sum * 1024 >= min && (uint64_t)taken.sum * 1024 <= max);
	rec_end();
	return STEP_DONE;
}

/* Return what the processes of a program, or those of that name, have taken together; each address space once. */
uint64_t taken_together(const struct program *program, const char *comm)
{
	uint64_t sum = 0;
	struct taken taken;

	for (struct member *m = member_of(program, comm, NULL); m; m = member_of(program, comm, m)) {
		bool counted = false;

		for (struct member *other = member_of(program, comm, NULL); other && other != m && !counted;
		     other = member_of(program, comm, other))
			counted = same_vm(other, m);
		if (!counted && read_taken(m, &taken))
			sum += (uint64_t)taken.sum * 1024;
	}
	return sum;
}

// SPDX-License-Identifier: MIT
/*
 * What huge pages change in the count of pages that a process has copied.
 *
 * One fault may bring a huge page of 512 pages, or since Linux 6.8 one of a smaller size that is enabled. The kernel counts
 * those of all processes by their size (anon_fault_alloc, since 6.10). Before, thp_fault_alloc counts the largest alone.
 *
 * MADV_COLLAPSE (since 6.1) copies 512 pages into a huge page, those that are shared with another process among them,
 * without a fault and without a move that is counted. Any process may ask for it (process_madvise(2)), so that the
 * collapses of all count. Those of khugepaged do not: it takes pages that are its process's own for the most part,
 * unless max_ptes_shared was raised above its default (khugepaged_init() of mm/khugepaged.c).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

enum { SMALLEST = 4, PTES_SHARED = 256 };

static int brought_fd[HUGE_SIZES];	/* of SMALLEST pages, twice as many, … 512; -1: this kernel has no such size */
static long collapse_id;		/* 0: this kernel has no huge pages */
static pid_t khugepaged;
static const char max_ptes_shared[] = "/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_shared";
static int shared_watch;		/* of the writes to it */

static void find_khugepaged(pid_t pid, void *unused)
{
	struct member probe = { .pid = pid, .stat_fd = -1 };

	(void)unused;
	if (!khugepaged && read_stat(&probe) && probe.ppid == KTHREADD && strcmp(probe.comm, "khugepaged") == 0)
		khugepaged = pid;
}

/* To be called while tracefs is open. */
void prepare_huge(void)
{
	long page_kb = sysconf(_SC_PAGESIZE) / 1024;
	char path[96];

	for (int i = 0; i < HUGE_SIZES; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/mm/transparent_hugepage/hugepages-%ldkB/stats/anon_fault_alloc",
			 page_kb * SMALLEST << i);
		brought_fd[i] = open_file(path, O_RDONLY);
	}
	shared_watch = watch_writes(max_ptes_shared);
	collapse_id = tracepoint_id("huge_memory/mm_collapse_huge_page");
	each_number("/proc", find_khugepaged, NULL);
}

static int64_t brought_of(int size)
{
	char text[32];

	if (brought_fd[size] >= 0)
		return reread(brought_fd[size], text, sizeof(text)) > 0 ? strtoll(text, NULL, 10) : 0;
	return size == HUGE_SIZES - 1 ? vmstat_count("thp_fault_alloc ") : 0;
}

/* Read how many huge pages of each size faults of all processes have brought. */
void read_brought(int64_t counts[HUGE_SIZES])
{
	for (int size = 0; size < HUGE_SIZES; size++)
		counts[size] = brought_of(size);
}

/* Return the pages that so many faults may have brought since these counts. */
int64_t pages_brought(const int64_t before[HUGE_SIZES], int64_t faults)
{
	int64_t pages = faults;

	for (int size = HUGE_SIZES - 1; size >= 0 && faults; size--) {
		int64_t huge = brought_of(size) - before[size];

		if (huge > faults)
			huge = faults;
		pages += huge * ((SMALLEST << size) - 1);
		faults -= huge;
	}
	return pages;
}

/* Return whether khugepaged may take, or may have taken, more shared pages than by default. */
static bool takes_shared(void)
{
	char text[32];

	/* A program may have raised it, and have set it back. */
	return writes_of(shared_watch) ||
	       (slurp(max_ptes_shared, text, sizeof(text)) > 0 && strtol(text, NULL, 10) > PTES_SHARED);
}

/* Count collapses from now on. Returns false where the kernel cannot. */
bool count_collapses(struct collapses *collapses)
{
	char filter[64], enabled[64];

	if (!collapse_id)
		return true;
	/* It runs only while huge pages are enabled (start_stop_khugepaged() of mm/khugepaged.c). */
	if (!khugepaged && slurp("/sys/kernel/mm/transparent_hugepage/enabled", enabled, sizeof(enabled)) > 0 &&
	    !strstr(enabled, "[never]"))
		each_number("/proc", find_khugepaged, NULL);
	/* SCAN_SUCCEED is 1 (enum scan_result, mm/khugepaged.c). */
	snprintf(filter, sizeof(filter), "status == 1 && common_pid == %d", khugepaged);
	count_everywhere(&collapses->own, khugepaged ? collapse_id : 0, filter);
	snprintf(filter, sizeof(filter), "status == 1 && common_pid != %d", khugepaged);
	return count_everywhere(&collapses->asked, collapse_id, filter);
}

/* Return how many there were that may have copied shared pages. */
int64_t collapses_of(const struct collapses *collapses)
{
	int64_t own = count_of_all(&collapses->own);

	return count_of_all(&collapses->asked) + (own && takes_shared() ? own : 0);
}

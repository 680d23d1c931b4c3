// SPDX-License-Identifier: MIT
/*
 * Tell a page that the kernel copied from one that became private in another way.
 *
 * The first page map of an array keeps a mark of each page's frame. A page that is private later and has its mark still
 * was not copied: the other process has given it up.
 *
 * A page in another frame may be one that the process dropped (MADV_DONTNEED) and wrote anew, and one that the kernel
 * moved (compaction). The kernel counts the latter in pgmigrate_success. A copy begins with a fault on a page that is
 * there (bit 0 of the error code, X86_PF_PROT of arch/x86/include/asm/trap_pf.h), a new page with a fault on one that is
 * absent. The tracepoints page_fault_user and page_fault_kernel report the error code
 * (arch/x86/include/asm/trace/exceptions.h, later include/trace/events/exceptions.h).
 *
 * Faults without an exception, as those of MADV_POPULATE_WRITE, pass no tracepoint. mm_account_fault() of mm/memory.c
 * counts them in minflt, and leaves them out of perf's minor faults: the difference is counted as absent pages too.
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent.h"

enum { MAX_FIRST_MAPS = 16 };

static struct first_map first_maps[MAX_FIRST_MAPS];

static const char *const tracepoints[TRACEPOINTS] = {
	"exceptions/page_fault_user", "exceptions/page_fault_kernel",
};
static long ids[TRACEPOINTS];	/* 0: this kernel does not have it */

/* To be called while tracefs is open. */
void prepare_first_maps(void)
{
	for (int i = 0; i < TRACEPOINTS; i++)
		ids[i] = tracepoint_id(tracepoints[i]);
}

/*
 * Return the process as it is now, or as it was when it ended, which its entry in the table tells until it is used for
 * another one. NULL: it is not known any more.
 */
static const struct member *last_known(const struct first_map *first)
{
	for (int i = 0; i < MAX_MEMBERS; i++) {
		struct member *m = &members[i];

		if (m->pid != first->pid || m->started != first->started)
			continue;
		if (m->stat_fd >= 0)
			read_stat(m);
		return m;
	}
	return NULL;
}

/* Count the faults of a process on absent pages of the array from now on, where the kernel can count them. */
static void count_faults(struct first_map *first)
{
	uint64_t end = first->start + first->pages * (uint64_t)sysconf(_SC_PAGESIZE);
	const struct member *now;
	char filter[128];

	snprintf(filter, sizeof(filter), "!(error_code & 1) && address >= 0x%llx && address < 0x%llx",
		 (unsigned long long)first->start, (unsigned long long)end);
	first->counts = true;
	for (int i = 0; i < TRACEPOINTS; i++) {
		first->absent[i] = ids[i] > 0 ? count_event(first->pid, -1, PERF_TYPE_TRACEPOINT, (uint64_t)ids[i], filter)
					      : -1;
		first->counts = first->counts && first->absent[i] >= 0;
	}
	first->minor = count_event(first->pid, -1, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN, NULL);
	now = last_known(first);
	first->counts = first->counts && first->minor >= 0 && now;
	if (now)
		first->minflt = now->minflt;
}

/* Return the first map of an array. If there was none, this is the first: set `later` accordingly. NULL: no room. */
const struct first_map *first_map_of(const struct member *m, uint64_t start, uint64_t pages, bool *later)
{
	static int count;
	struct first_map *first = first_maps;
	void *marks;

	for (; first < first_maps + count; first++)
		if (first->pid == m->pid && first->started == m->started && first->start == start && first->pages == pages) {
			*later = true;
			return first;
		}
	*later = false;
	if (count == MAX_FIRST_MAPS)
		return NULL;
	marks = mmap(NULL, pages * sizeof(uint16_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (marks == MAP_FAILED)
		return NULL;
	*first = (struct first_map){ .pid = m->pid, .started = m->started, .start = start, .pages = pages, .marks = marks,
				     .migrated = vmstat_count("pgmigrate_success ") };
	count_faults(first);
	count++;
	return first;
}

/*
 * Return 16 bits of a hash of the frame's number. Marks that are equal by chance only make a copy count as none. The
 * multiplier is 2^32 divided by the golden ratio (Knuth, The Art of Computer Programming, volume 3, 6.4).
 */
uint16_t mark_of(uint64_t frame)
{
	return (uint16_t)((uint32_t)frame * 2654435769U >> 16);
}

/* Record how many pages may have changed their frames since the first map without a copy; null: not known. */
void say_since(const struct first_map *first)
{
	const struct member *now = first->counts ? last_known(first) : NULL;
	int64_t fresh = 0, elsewhere;

	if (now) {
		for (int i = 0; i < TRACEPOINTS; i++)
			fresh += event_count(first->absent[i]);
		elsewhere = (int64_t)(now->minflt - first->minflt) - event_count(first->minor);
		rec_int("fresh_faults", fresh + (elsewhere > 0 ? elsewhere : 0));
	} else {
		rec_null("fresh_faults");
	}
	rec_int("migrated", vmstat_count("pgmigrate_success ") - first->migrated);
}

// SPDX-License-Identifier: MIT
/*
 * Tell a page that the kernel copied from one that became private in another way.
 *
 * The first page map of an array keeps a mark of each page's frame. A page that is private later and has its mark still
 * was not copied: the other process has given it up.
 *
 * A page in another frame may be one that the process dropped (MADV_DONTNEED) and wrote anew, and one that the kernel
 * moved (compaction). A copy begins with a fault on a page that is there (bit 0 of the error code, X86_PF_PROT of
 * arch/x86/include/asm/trap_pf.h), a new page with a fault on one that is absent. The tracepoints page_fault_user and
 * page_fault_kernel report the error code (arch/x86/include/asm/trace/exceptions.h, later
 * include/trace/events/exceptions.h).
 *
 * Faults without an exception, as those of MADV_POPULATE_WRITE, pass no tracepoint. mm_account_fault() of mm/memory.c
 * counts them in minflt, and leaves them out of perf's minor faults: the difference is counted as absent pages too.
 *
 * One fault may bring a huge page (huge.c). A write to a shared huge page copies small ones (do_huge_pmd_wp_page() of
 * mm/huge_memory.c).
 *
 * Of pages that the kernel moved there are two upper bounds: pgmigrate_success counts those of all processes, and the
 * tracepoint set_migration_pte (set_migration_pmd for 512 of them) tells the address of a page that it unmaps for a move,
 * which may fail, or to split a huge page (try_to_migrate_one() of mm/rmap.c; both since Linux 5.18). The smaller counts.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent.h"

enum { MAX_FIRST_MAPS = 16, MAX_THREADS = 16, TRACEPOINTS = 2, HUGE_PAGES = 512 };

struct thread_faults {
	int absent[TRACEPOINTS], minor;	/* events of perf_event_open(2) */
};

/* What is counted of an array from its first map on. */
struct since {
	struct first_map first;
	bool known;		/* every thread of the process is counted */
	bool one_thread;	/* and of minor faults no thread that it creates later */
	uint64_t minflt;
	struct thread_faults faults[MAX_THREADS];
	int threads;
	struct everywhere moved, moved_huge, collapsed;
	bool moves_known;
	int64_t migrated;	/* pages of all processes that the kernel had moved */
	int64_t brought[HUGE_SIZES];	/* huge pages of each size that faults of all processes had brought */
};

static struct since arrays[MAX_FIRST_MAPS];
static int count;

static const char *const tracepoints[TRACEPOINTS] = {
	"exceptions/page_fault_user", "exceptions/page_fault_kernel",
};
static long ids[TRACEPOINTS], pte_id, pmd_id;	/* 0: this kernel does not have it */

/* To be called while tracefs is open. */
void prepare_first_maps(void)
{
	for (int i = 0; i < TRACEPOINTS; i++)
		ids[i] = tracepoint_id(tracepoints[i]);
	pte_id = tracepoint_id("migrate/set_migration_pte");
	pmd_id = tracepoint_id("thp/set_migration_pmd");
	prepare_huge();
}

/* Return whether this kernel can count the faults of a process on absent pages. */
bool counts_faults(void)
{
	return ids[0] > 0 && ids[1] > 0;
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

static char fault_filter[128];

static void count_thread(pid_t thread, void *with)
{
	struct since *counting = with;
	struct thread_faults *of = &counting->faults[counting->threads];

	if (!counting->known)
		return;
	if (counting->threads == MAX_THREADS) {
		counting->known = false;
		return;
	}
	counting->threads++;
	for (int i = 0; i < TRACEPOINTS; i++) {
		/* Of processes too: one with CLONE_VM may write in its place. What others do counts as well, if anything. */
		of->absent[i] = count_of_thread(thread, PERF_TYPE_TRACEPOINT, (uint64_t)ids[i], fault_filter, true);
		counting->known = counting->known && of->absent[i] >= 0;
	}
	of->minor = count_of_thread(thread, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN, NULL, false);
	if (of->minor < 0) {
		of->minor = count_of_one_thread(thread, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN);
		counting->one_thread = true;
	}
	counting->known = counting->known && of->minor >= 0;
}

/* Count the faults of a process on absent pages of the array from now on, where the kernel can count them. */
static void count_faults(struct since *since, uint64_t end)
{
	const struct member *now;
	char tasks[64];

	snprintf(fault_filter, sizeof(fault_filter), "!(error_code & 1) && address >= 0x%llx && address < 0x%llx",
		 (unsigned long long)since->first.start, (unsigned long long)end);
	snprintf(tasks, sizeof(tasks), "/proc/%d/task", since->first.pid);
	since->known = counts_faults();
	each_number(tasks, count_thread, since);
	now = last_known(&since->first);
	/* A thread that was created meanwhile by one that was not counted yet. */
	since->known = since->known && now && now->threads == since->threads;
	if (now)
		since->minflt = now->minflt;
}

/* Count the pages of the array that the kernel unmaps to move them, in whatever process maps the array there. */
static void count_moves(struct since *since, uint64_t end)
{
	char filter[96];

	snprintf(filter, sizeof(filter), "addr >= 0x%llx && addr < 0x%llx", (unsigned long long)since->first.start,
		 (unsigned long long)end);
	since->moves_known = count_everywhere(&since->moved, pte_id, filter);
	/* A huge page may begin before the array. */
	snprintf(filter, sizeof(filter), "addr > 0x%llx && addr < 0x%llx",
		 (unsigned long long)(since->first.start - HUGE_PAGES * (uint64_t)sysconf(_SC_PAGESIZE)),
		 (unsigned long long)end);
	since->moves_known = since->moves_known && count_everywhere(&since->moved_huge, pmd_id, filter);
	since->migrated = vmstat_count("pgmigrate_success ");
	read_brought(since->brought);
}

/* Return the first map of an array. If there was none, this is the first: set `later` accordingly. NULL: no room. */
const struct first_map *first_map_of(const struct member *m, uint64_t start, uint64_t pages, bool *later)
{
	uint64_t end = start + pages * (uint64_t)sysconf(_SC_PAGESIZE);
	struct since *since = arrays;
	void *marks;

	for (; since < arrays + count; since++)
		if (since->first.pid == m->pid && since->first.started == m->started && since->first.start == start &&
		    since->first.pages == pages) {
			*later = true;
			return &since->first;
		}
	*later = false;
	if (count == MAX_FIRST_MAPS)
		return NULL;
	marks = mmap(NULL, pages * sizeof(uint16_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (marks == MAP_FAILED)
		return NULL;
	*since = (struct since){ .first = { .pid = m->pid, .started = m->started, .start = start, .pages = pages,
					    .marks = marks } };
	count_faults(since, end);
	count_moves(since, end);
	since->known = count_collapses(&since->collapsed) && since->known;
	count++;
	return &since->first;
}

/*
 * Return 16 bits of a hash of the frame's number. Marks that are equal by chance only make a copy count as none. The
 * multiplier is 2^32 divided by the golden ratio (Knuth, The Art of Computer Programming, volume 3, 6.4).
 */
uint16_t mark_of(uint64_t frame)
{
	return (uint16_t)((uint32_t)frame * 2654435769U >> 16);
}

static int64_t moved_since(const struct since *since)
{
	int64_t anywhere = vmstat_count("pgmigrate_success ") - since->migrated, here;

	if (!since->moves_known)
		return anywhere;
	here = count_of_all(&since->moved) + count_of_all(&since->moved_huge) * HUGE_PAGES;
	return here < anywhere ? here : anywhere;
}

/* Record how many pages may have changed their frames since the first map without a copy; null: not known. */
void say_since(const struct first_map *first)
{
	const struct since *since = (const struct since *)first;
	const struct member *now = since && since->known ? last_known(first) : NULL;
	bool alone = !now || !since->one_thread || now->threads == 1;
	int64_t fresh = 0, minor = 0, elsewhere;

	/* MADV_POPULATE_WRITE by a process that shares the memory is in its own minflt. */
	if (!now || !alone || shared_vm(first->pid)) {
		rec_null("fresh_faults");
	} else {
		for (int thread = 0; thread < since->threads; thread++) {
			for (int i = 0; i < TRACEPOINTS; i++)
				fresh += event_count(since->faults[thread].absent[i]);
			minor += event_count(since->faults[thread].minor);
		}
		elsewhere = (int64_t)(now->minflt - since->minflt) - minor;
		rec_int("fresh_faults", pages_brought(since->brought, fresh + (elsewhere > 0 ? elsewhere : 0)));
	}
	if (since)
		rec_int("migrated", moved_since(since) + count_of_all(&since->collapsed) * HUGE_PAGES);
	else
		rec_null("migrated");
}

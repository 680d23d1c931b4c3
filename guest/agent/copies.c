// SPDX-License-Identifier: MIT
/*
 * Tell a page that the kernel copied from one that became private in another way.
 *
 * The first page map of an array keeps a mark of each page's frame. A page that is private later and has its mark still
 * was not copied: the other process has given it up.
 *
 * A page in another frame may be one that the process dropped (MADV_DONTNEED) and wrote anew, and one that the kernel
 * moved (compaction). So copies are as many as the process's write faults on pages that are there, at most; and as many
 * pages less as its faults on absent pages may have brought (activity.c).
 *
 * One fault may bring a huge page (huge.c). A write to a shared huge page copies small ones (do_huge_pmd_wp_page() of
 * mm/huge_memory.c).
 *
 * Of pages that the kernel moved there are two upper bounds: pgmigrate_success counts those of all processes, and the
 * tracepoint set_migration_pte (set_migration_pmd for 512 of them) tells the address of a page that it unmaps for a move,
 * which may fail, or to split a huge page (try_to_migrate_one() of mm/rmap.c; both since Linux 5.18). The smaller counts.
 *
 * A page that KSM has merged since the first map is not the one that was shared. cow_ksm of /proc/vmstat counts those that
 * the kernel copied (since Linux 5.19).
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent.h"

enum { MAX_FIRST_MAPS = 16, HUGE_PAGES = 512 };

/* What is counted of an array from its first map on. */
struct since {
	struct first_map first;
	bool known;		/* of programs' collapses */
	struct activity activity;
	struct everywhere moved, moved_huge;
	struct collapses collapses;
	int64_t unmerged;	/* pages of all processes that the kernel copied because KSM had merged them */
	bool moves_known;
	int64_t migrated;	/* pages of all processes that the kernel had moved */
	int64_t brought[HUGE_SIZES];	/* huge pages of each size that faults of all processes had brought */
};

static struct since arrays[MAX_FIRST_MAPS];
static int count;

static long pte_id, pmd_id;	/* 0: this kernel does not have it */

/* To be called while tracefs is open. */
void prepare_first_maps(void)
{
	pte_id = tracepoint_id("migrate/set_migration_pte");
	pmd_id = tracepoint_id("thp/set_migration_pmd");
	prepare_activity();
	prepare_huge();
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
	/* The marks are locked: all their pages are taken now. */
	if (count == MAX_FIRST_MAPS || !may_take(pages * sizeof(uint16_t)))
		return NULL;
	marks = mmap(NULL, pages * sizeof(uint16_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (marks == MAP_FAILED)
		return NULL;
	*since = (struct since){ .first = { .pid = m->pid, .started = m->started, .start = start, .pages = pages,
					    .marks = marks } };
	count_activity(&since->activity, m, start, end);
	count_moves(since, end);
	since->unmerged = vmstat_count("cow_ksm ");
	since->known = count_collapses(&since->collapses);
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

/* Record what may have changed the pages' frames since the first map; null: not known. */
void say_since(const struct first_map *first)
{
	struct since *since = (struct since *)first;
	struct activity_counts counts;

	if (!since || !since->known || !read_activity(&since->activity, &counts)) {
		rec_null("fresh_faults");
		rec_null("copy_faults");
	} else {
		rec_int("fresh_faults", pages_brought(since->brought, counts.fresh));
		rec_int("copy_faults", counts.copies);
		if (counts.brought_others)
			rec_int("brought_others", counts.brought_others);
	}
	if (since)
		rec_int("migrated", moved_since(since) + collapses_of(&since->collapses) * HUGE_PAGES +
					    vmstat_count("cow_ksm ") - since->unmerged);
	else
		rec_null("migrated");
}

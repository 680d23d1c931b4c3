// SPDX-License-Identifier: MIT
/* Record the page map of an array: which pages two processes share (Documentation/admin-guide/mm/pagemap.rst). */
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent.h"

#define PM_PRESENT (1ULL << 63)
#define PM_SWAP (1ULL << 62)
#define PM_FILE (1ULL << 61)	/* a page of a file, or shared anonymous memory */
#define PM_EXCLUSIVE (1ULL << 56)
#define PM_FRAME ((1ULL << 55) - 1)

enum { ENTRIES = 1024, MAX_PFNS = 1024, MAX_PERIODIC_MAPS = 8 };

/*
 * The frame of the shared zero page, to which a page is mapped that was read and never written. Only 4 kB pages are
 * recognised: the huge zero page is not anonymous (PageAnon), and its pages are recorded as "file".
 */
static uint64_t zero_frame(void)
{
	static uint64_t frame;
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	volatile const char *page;
	uint64_t entry = 0;
	int fd;

	if (frame)
		return frame;
	page = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return 0;
	(void)*page;
	fd = open_file("/proc/self/pagemap", O_RDONLY);
	if (fd >= 0) {
		if (pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)page / size * 8)) == sizeof(entry))
			frame = entry & PM_FRAME;
		close(fd);
	}
	munmap((void *)page, size);
	return frame;
}

/* The files stay open, as those of the periodic maps do. */
static int merged_fd = -1, flags_fd = -1;

/*
 * Whether KSM has merged any pages. They are mapped more than once without a fork, and only /proc/kpageflags tells them
 * from pages that a fork shares. It takes a system call a page, so it is read only where there is such a page.
 */
static bool any_merged(void)
{
	char text[32];

	if (merged_fd == -1) {
		merged_fd = open_file("/sys/kernel/mm/ksm/pages_shared", O_RDONLY);
		if (merged_fd < 0 && errno == ENOENT)
			merged_fd = -2;	/* this kernel has no KSM */
	}
	if (merged_fd >= 0 && flags_fd < 0)
		flags_fd = open_file("/proc/kpageflags", O_RDONLY);
	return merged_fd >= 0 && flags_fd >= 0 && reread(merged_fd, text, sizeof(text)) > 0 && text[0] != '0';
}

static bool is_merged(uint64_t frame)
{
	uint64_t flags = 0;

	return pread(flags_fd, &flags, sizeof(flags), (off_t)(frame * 8)) == sizeof(flags) && flags >> KPF_KSM & 1;
}

struct map_record {
	const char *label;	/* or NULL */
	const struct member *member;
	uint64_t zero, page_size;
	const char *state;	/* of the run in progress */
	uint64_t entry;		/* its last page */
	uint64_t run, next;	/* its pages; the address after them */
	uint16_t *mark;		/* of the next page's frame; NULL: there is no room for marks */
	bool later;		/* the marks are those of the array's first map */
	bool kept;		/* the last page has had its frame since the first map */
	bool periodic;		/* one of a series of periodic maps */
	bool merged;		/* there are pages that KSM has merged */
	bool open;
};

static void map_open(struct map_record *map, uint64_t start)
{
	rec_begin("pagemap");
	if (map->label)
		rec_str("label", map->label);
	else
		rec_null("label");
	say_member(map->member);
	rec_hex("start", start);
	rec_int("page_size", (int64_t)map->page_size);
	if (map->periodic)
		rec_bool("periodic", true);
	rec_open("runs", '[');
	map->open = true;
}

static void map_close(struct map_record *map, bool last)
{
	rec_close(']');
	rec_bool("last", last);
	if (last)
		return;
	rec_end();
	map->open = false;
}

static void end_run(struct map_record *map)
{
	if (map->run == 0)
		return;
	if (!map->open)
		map_open(map, map->next - map->run * map->page_size);
	rec_open(NULL, '[');
	rec_int(NULL, (int64_t)map->run);
	rec_str(NULL, map->state);
	rec_close(']');
	map->run = 0;
	if (rec_room() < 1024)
		map_close(map, false);
}

static const char *page_state(const struct map_record *map, uint64_t entry, bool kept)
{
	uint64_t frame = entry & PM_FRAME;

	if (entry & PM_SWAP)
		return "swap";
	if (!(entry & PM_PRESENT))
		return "none";
	if (map->zero && frame == map->zero)
		return "zero";
	if (entry & PM_FILE)
		return "file";
	if (entry & PM_EXCLUSIVE)
		return kept ? "kept" : "private";
	return map->merged && is_merged(frame) ? "merged" : "shared";
}

/* Most entries have the state of the entry before them: then a comparison is all that an entry costs. */
static bool same_state(const struct map_record *map, uint64_t entry, bool kept)
{
	const uint64_t bits = PM_SWAP | PM_PRESENT | PM_FILE | PM_EXCLUSIVE;

	if (!map->run || map->merged || kept != map->kept || ((entry ^ map->entry) & bits))
		return false;
	return (entry & PM_FRAME) != map->zero && (map->entry & PM_FRAME) != map->zero;
}

/* Compare with the mark that the page has of the first map, or set it. Returns whether the frame is still the same. */
static bool is_kept(struct map_record *map, uint64_t entry)
{
	uint16_t *mark = map->mark;

	if (!mark)
		return false;
	map->mark++;
	if (map->later)
		return (entry & PM_EXCLUSIVE) && *mark == mark_of(entry & PM_FRAME);
	*mark = mark_of(entry & PM_FRAME);
	return false;
}

static void map_page(struct map_record *map, uint64_t entry)
{
	bool kept = is_kept(map, entry);

	if (!same_state(map, entry, kept)) {
		const char *state = page_state(map, entry, kept);

		if (state != map->state)
			end_run(map);
		map->state = state;
	}
	map->kept = kept;
	map->entry = entry;
	map->run++;
	map->next += map->page_size;
}

static void say_pfns(const uint64_t *entries, size_t count)
{
	rec_open("pfns", '[');
	for (size_t i = 0; i < count; i++)
		rec_int(NULL, entries[i] & PM_PRESENT ? (int64_t)(entries[i] & PM_FRAME) : 0);
	rec_close(']');
}

static bool map_bounds(const struct step *step, const struct program *program, uint64_t *start, uint64_t *length)
{
	const char *name = word(step, "region");
	const struct region *region;

	if (!name)
		return parse_hex(word(step, "start"), start) && parse_hex(word(step, "length"), length);
	region = region_named(program, name);
	if (!region || !region->length)
		return false;
	*start = region->start;
	*length = region->length;
	if (word(step, "start"))
		parse_hex(word(step, "start"), start);
	if (word(step, "length"))
		parse_hex(word(step, "length"), length);
	return true;
}

/* Read the whole map from an open /proc/PID/pagemap and record it. Returns 0, or the errno of the read that failed. */
static int say_map(struct map_record *map, int fd, uint64_t start, uint64_t length, bool with_pfns)
{
	static uint64_t entries[ENTRIES];
	uint64_t pages = (length + map->page_size - 1) / map->page_size;
	const struct first_map *first;
	int64_t began = now_ns();
	int err = 0;

	map->next = start & ~(map->page_size - 1);
	first = first_map_of(map->member, map->next, pages, &map->later);
	map->mark = first ? first->marks : NULL;
	map->merged = any_merged();
	for (uint64_t done = 0; done < pages && !err;) {
		size_t want = pages - done < ENTRIES ? (size_t)(pages - done) : ENTRIES;
		ssize_t got = pread(fd, entries, want * 8, (off_t)(map->next / map->page_size * 8));

		if (got < 8) {
			err = got < 0 ? errno : ESRCH;	/* end of file: the process has released its memory */
			break;
		}
		for (ssize_t i = 0; i < got / 8; i++)
			map_page(map, entries[i]);
		done += (uint64_t)got / 8;
	}
	if (err && !map->open && map->run == 0)
		return err;
	end_run(map);
	if (!map->open)
		map_open(map, map->next);
	map_close(map, true);
	if (with_pfns && !err)
		say_pfns(entries, (size_t)pages);
	if (map->later || !first)
		say_since(first);
	rec_time("took", now_ns() - began);
	rec_end();
	return err;
}

static int open_pagemap(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	return open_file(path, O_RDONLY);
}

/* ---- periodic maps ---- */

/* The file stays open, because open(2) allocates memory, and the map is wanted when there is none left. */
static struct periodic {
	struct step *step;	/* NULL: free */
	struct member member;
	uint64_t start, length;
	int64_t period, due;	/* INT64_MAX: at an OOM only */
	int fd;
} periodic[MAX_PERIODIC_MAPS];

static void stop_periodic(struct periodic *map)
{
	close(map->fd);
	map->step = NULL;
}

static void stop_same(const struct step *step, const struct member *m)
{
	for (int i = 0; i < MAX_PERIODIC_MAPS; i++) {
		struct periodic *map = &periodic[i];
		const char *old = map->step ? word(map->step, "region") : NULL, *new = word(step, "region");

		if (map->step && map->member.pid == m->pid && (old && new ? strcmp(old, new) == 0 : old == new))
			stop_periodic(map);
	}
}

static enum outcome start_periodic(struct step *step, const struct member *m, uint64_t start, uint64_t length)
{
	bool at_oom = strcmp(word(step, "every"), "oom") == 0;
	int64_t period = INT64_MAX;

	if (!at_oom)
		parse_seconds(word(step, "every"), &period);
	stop_same(step, m);
	if (!period)
		return STEP_DONE;
	for (int i = 0; i < MAX_PERIODIC_MAPS; i++) {
		int fd;

		if (periodic[i].step)
			continue;
		fd = open_pagemap(m->task);
		if (fd < 0)
			return fail(errno, "open of /proc/%d/pagemap failed", m->pid);
		zero_frame();
		any_merged();
		periodic[i] = (struct periodic){ .step = step, .member = *m, .start = start, .length = length,
						 .period = period, .due = at_oom ? INT64_MAX : now_ns() + period, .fd = fd };
		return STEP_DONE;
	}
	return fail(ENOSPC, "at most %d page maps are taken again and again", MAX_PERIODIC_MAPS);
}

static void take_periodic(struct periodic *map, const char *label)
{
	struct map_record record = { .label = label, .member = &map->member,
				     .page_size = (uint64_t)sysconf(_SC_PAGESIZE), .zero = zero_frame(),
				     .periodic = true };

	if (say_map(&record, map->fd, map->start, map->length, false))
		stop_periodic(map);
}

/* Take all maps now, whenever they are due: at an OOM, before the victim's memory is freed. */
void take_pagemaps(const char *label)
{
	for (int i = 0; i < MAX_PERIODIC_MAPS; i++)
		if (periodic[i].step)
			take_periodic(&periodic[i], label);
}

int64_t pagemap_due(void)
{
	int64_t due = INT64_MAX;

	for (int i = 0; i < MAX_PERIODIC_MAPS; i++)
		if (periodic[i].step && periodic[i].due < due)
			due = periodic[i].due;
	return due;
}

void pagemap_if_due(int64_t now)
{
	for (int i = 0; i < MAX_PERIODIC_MAPS; i++) {
		struct periodic *map = &periodic[i];

		if (!map->step || now < map->due)
			continue;
		map->due += (1 + (now - map->due) / map->period) * map->period;
		take_periodic(map, word(map->step, "label"));
	}
}

enum outcome begin_pagemap(struct step *step)
{
	struct map_record map = { .label = word(step, "label"), .page_size = (uint64_t)sysconf(_SC_PAGESIZE) };
	bool pfns = word(step, "pfns") && strcmp(word(step, "pfns"), "1") == 0;
	uint64_t start, length;
	struct member *m = one_member(step);
	int fd, err;

	if (!m)
		return no_member();
	if (!map_bounds(step, m->program, &start, &length))
		return fail(ENOENT, "%s printed no region named %s", m->program->name, word(step, "region"));
	if (word(step, "every"))
		return start_periodic(step, m, start, length);
	if (pfns && (length + map.page_size - 1) / map.page_size > MAX_PFNS)
		return fail(EINVAL, "frames are listed of at most %d pages at once", MAX_PFNS);
	fd = open_pagemap(m->task);
	if (fd < 0)
		return fail(errno, "open of /proc/%d/pagemap failed", m->pid);
	map.member = m;
	map.zero = zero_frame();
	err = say_map(&map, fd, start, length, pfns);
	close(fd);
	return err ? fail(err, "read of /proc/%d/pagemap failed", m->pid) : STEP_DONE;
}

// SPDX-License-Identifier: MIT
/* The page map of an array: which pages two processes still share (Documentation/admin-guide/mm/pagemap.rst). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent.h"

#define PM_PRESENT (1ULL << 63)
#define PM_SWAP (1ULL << 62)
#define PM_FILE (1ULL << 61)	/* file-mapped, or shared anonymous */
#define PM_EXCLUSIVE (1ULL << 56)
#define PM_FRAME ((1ULL << 55) - 1)

enum { ENTRIES = 1024, MAX_PFNS = 1024 };

/*
 * The frame of the shared zero page: what a page is mapped to that was read and never written. Small pages only: the
 * huge zero page shows as "shared".
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
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)page / size * 8)) == sizeof(entry))
			frame = entry & PM_FRAME;
		close(fd);
	}
	munmap((void *)page, size);
	return frame;
}

static const char *page_state(uint64_t entry, uint64_t zero)
{
	if (entry & PM_SWAP)
		return "swap";
	if (!(entry & PM_PRESENT))
		return "none";
	if (zero && (entry & PM_FRAME) == zero)
		return "zero";
	if (entry & PM_FILE)
		return "file";
	return entry & PM_EXCLUSIVE ? "private" : "shared";
}

struct map_record {
	const struct step *step;
	const struct member *member;
	uint64_t zero, page_size;
	const char *state;	/* of the run in progress */
	uint64_t run, next;	/* its pages; the address after them */
	bool open;
};

static void map_open(struct map_record *map, uint64_t start)
{
	rec_begin("pagemap");
	say_label(map->step);
	say_member(map->member);
	rec_hex("start", start);
	rec_int("page_size", (int64_t)map->page_size);
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

static void map_page(struct map_record *map, uint64_t entry)
{
	const char *state = page_state(entry, map->zero);

	if (state != map->state)
		end_run(map);
	map->state = state;
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

enum outcome begin_pagemap(struct step *step)
{
	static uint64_t entries[ENTRIES];
	struct map_record map = { .step = step, .page_size = (uint64_t)sysconf(_SC_PAGESIZE) };
	const char *pfns = word(step, "pfns");
	uint64_t start, length, pages;
	struct member *m = one_member(step);
	char path[64];
	int fd;

	if (!m)
		return no_member(step);
	if (!map_bounds(step, m->program, &start, &length))
		return fail(ENOENT, "%s printed no region named %s", m->program->name, word(step, "region"));
	pages = (length + map.page_size - 1) / map.page_size;
	if (pfns && strcmp(pfns, "1") == 0 && pages > MAX_PFNS)
		return fail(EINVAL, "frames are listed of at most %d pages at once", MAX_PFNS);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", m->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(errno, "open of %s failed", path);
	map.member = m;
	map.zero = zero_frame();
	map.next = start & ~(map.page_size - 1);
	map_open(&map, map.next);
	for (uint64_t done = 0; done < pages;) {
		size_t want = pages - done < ENTRIES ? (size_t)(pages - done) : ENTRIES;
		ssize_t got = pread(fd, entries, want * 8, (off_t)(map.next / map.page_size * 8));

		if (got < 8) {
			int err = got < 0 ? errno : EIO;

			close(fd);
			return fail(err, "read of %s at %llx failed", path, (unsigned long long)map.next);
		}
		for (ssize_t i = 0; i < got / 8; i++)
			map_page(&map, entries[i]);
		done += (uint64_t)got / 8;
	}
	close(fd);
	end_run(&map);
	if (!map.open)
		map_open(&map, map.next);
	map_close(&map, true);
	if (pfns && strcmp(pfns, "1") == 0)
		say_pfns(entries, (size_t)pages);
	rec_end();
	return STEP_DONE;
}

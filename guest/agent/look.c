// SPDX-License-Identifier: MIT
/* What the kernel says about a program's processes: page maps, descriptors, the tree, status, any file of proc. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

static char text[16 * 1024];

static struct member *one_member(const struct step *step)
{
	const struct program *program = program_named(word(step, "program"));

	members_refresh();
	return program ? member_of(program, word(step, "comm"), NULL) : NULL;
}

static enum outcome no_member(const struct step *step)
{
	const char *comm = word(step, "comm");

	return fail(ESRCH, "%s has no process%s%s", word(step, "program"), comm ? " named " : "", comm ? comm : "");
}

static void say_label(const struct step *step)
{
	if (word(step, "label"))
		rec_str("label", word(step, "label"));
	else
		rec_null("label");
}

static void say_member(const struct member *m)
{
	rec_str("program", m->program->name);
	rec_str("comm", m->comm);
	rec_int("pid", m->pid);
}

/* ---- the page map: Documentation/admin-guide/mm/pagemap.rst ---- */

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

/* ---- descriptors ---- */

static void say_fdinfo(pid_t pid, int number)
{
	char path[64], target[256];
	ssize_t length;
	char *line, *save;

	rec_open(NULL, '{');
	rec_int("fd", number);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, number);
	length = readlink(path, target, sizeof(target));
	if (length > 0)
		rec_text("path", target, (size_t)length);
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, number);
	if (slurp(path, text, sizeof(text)) > 0)
		for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			int64_t value;

			if (field_kb(line, "pos:", &value))
				rec_int("pos", value);
			else if (field_kb(line, "mnt_id:", &value))
				rec_int("mnt_id", value);
			else if (field_kb(line, "ino:", &value))
				rec_int("ino", value);	/* since 5.14 */
			else if (strncmp(line, "flags:", 6) == 0)
				rec_int("flags", strtol(line + 6, NULL, 8));
		}
	rec_close('}');
}

enum outcome begin_fds(struct step *step)
{
	struct member *m = one_member(step);
	bool all = word(step, "fd") == NULL;
	char path[64];
	int fds[256], count = 0, fd;
	long got;

	if (!m)
		return no_member(step);
	for (int i = 0; i < step->count && count < 256; i++)
		if (strcmp(step->words[i].key, "fd") == 0)
			fds[count++] = atoi(step->words[i].value);
	if (all) {
		snprintf(path, sizeof(path), "/proc/%d/fd", m->pid);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return fail(errno, "open of %s failed", path);
		while ((got = syscall(SYS_getdents64, fd, text, sizeof(text))) > 0)
			for (long at = 0; at < got && count < 256;) {
				uint16_t length;
				const char *name = text + at + 19;

				memcpy(&length, text + at + 16, sizeof(length));
				at += length;
				if (*name != '.')
					fds[count++] = atoi(name);
			}
		close(fd);
	}
	rec_begin("fds");
	say_label(step);
	say_member(m);
	rec_open("fds", '[');
	for (int i = 0; i < count && rec_room() > 2048; i++)
		say_fdinfo(m->pid, fds[i]);
	rec_close(']');
	rec_end();
	return STEP_DONE;
}

static struct member *member_spec(const char *spec)
{
	char name[NAME_BYTES];
	size_t length = strcspn(spec, "/");
	const struct program *program;

	copy_name(name, sizeof(name), spec);
	if (length < sizeof(name))
		name[length] = '\0';
	program = program_named(name);
	return program ? member_of(program, spec[length] ? spec + length + 1 : NULL, NULL) : NULL;
}

static const struct { const char *name; int type; } kcmp_types[] = {
	{ "file", KCMP_FILE }, { "vm", KCMP_VM }, { "files", KCMP_FILES }, { "fs", KCMP_FS },
	{ "sighand", KCMP_SIGHAND }, { "io", KCMP_IO }, { "sysvsem", KCMP_SYSVSEM },
};

/* kcmp(2): 0 the same kernel object, 1 and 2 an order, 3 not the same and no order. */
enum outcome begin_kcmp(struct step *step)
{
	const char *type = word(step, "type") ?: "file", *a_fd = word(step, "a_fd"), *b_fd = word(step, "b_fd");
	struct member *a, *b;
	int which = -1;
	long result;

	members_refresh();
	a = member_spec(word(step, "a"));
	b = member_spec(word(step, "b"));
	if (!a || !b)
		return fail(ESRCH, "there is no process %s", word(step, a ? "b" : "a"));
	for (size_t i = 0; i < sizeof(kcmp_types) / sizeof(kcmp_types[0]); i++)
		if (strcmp(kcmp_types[i].name, type) == 0)
			which = kcmp_types[i].type;
	if (which < 0)
		return fail(EINVAL, "kcmp has no type %s", type);
	if (which == KCMP_FILE && (!a_fd || !b_fd))
		return fail(EINVAL, "kcmp of files needs a_fd and b_fd");
	result = syscall(SYS_kcmp, a->pid, b->pid, which, a_fd ? atol(a_fd) : 0, b_fd ? atol(b_fd) : 0);
	if (result < 0)
		return fail(errno, "kcmp failed");
	rec_begin("kcmp");
	say_label(step);
	rec_str("type", type);
	rec_open("a", '{');
	say_member(a);
	if (a_fd)
		rec_int("fd", atol(a_fd));
	rec_close('}');
	rec_open("b", '{');
	say_member(b);
	if (b_fd)
		rec_int("fd", atol(b_fd));
	rec_close('}');
	rec_bool("same", result == 0);
	rec_end();
	return STEP_DONE;
}

/* ---- status, tree, any file ---- */

static bool field_wanted(const struct step *step, const char *name)
{
	bool any = false;

	for (int i = 0; i < step->count; i++)
		if (strcmp(step->words[i].key, "field") == 0) {
			any = true;
			if (strcmp(step->words[i].value, name) == 0)
				return true;
		}
	return !any;
}

enum outcome begin_status(struct step *step)
{
	struct member *m = one_member(step);
	char path[64], *save;

	if (!m)
		return no_member(step);
	snprintf(path, sizeof(path), "/proc/%d/status", m->pid);
	if (slurp(path, text, sizeof(text)) <= 0)
		return fail(errno, "read of %s failed", path);
	rec_begin("status");
	say_label(step);
	say_member(m);
	rec_open("fields", '{');
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');

		if (!colon)
			continue;
		*colon = '\0';
		if (field_wanted(step, line))
			rec_str(line, colon + 1 + strspn(colon + 1, " \t"));
	}
	rec_close('}');
	rec_end();
	return STEP_DONE;
}

enum outcome begin_tree(struct step *step)
{
	const char *name = word(step, "program");

	members_refresh();
	rec_begin("tree");
	say_label(step);
	rec_open("procs", '[');
	for (int i = 0; i < MAX_MEMBERS && rec_room() > 512; i++) {
		const struct member *m = &members[i];
		char state[2] = { m->state, '\0' };

		if (!m->pid || m->stat_fd < 0 || (name && strcmp(m->program->name, name) != 0))
			continue;
		rec_open(NULL, '{');
		say_member(m);
		rec_int("ppid", m->ppid);
		rec_int("pgid", m->pgid);
		rec_int("sid", m->sid);
		rec_str("state", state);
		rec_int("threads", m->threads);
		rec_int("started", (int64_t)m->started);
		rec_close('}');
	}
	rec_close(']');
	rec_end();
	return STEP_DONE;
}

/* Any file that is text; {pid} in the path is the pid of program and comm. */
enum outcome begin_read(struct step *step)
{
	const char *asked = word(step, "path"), *mark = strstr(asked, "{pid}");
	char path[PATH_BYTES];
	ssize_t length;

	copy_name(path, sizeof(path), asked);
	if (mark) {
		struct member *m = word(step, "program") ? one_member(step) : NULL;

		if (!m)
			return word(step, "program") ? no_member(step)
						     : fail(EINVAL, "{pid} in a path needs program=");
		snprintf(path, sizeof(path), "%.*s%d%s", (int)(mark - asked), asked, m->pid, mark + 5);
	}
	length = slurp(path, text, sizeof(text));
	if (length < 0)
		return fail(errno, "read of %s failed", path);
	rec_begin("read");
	say_label(step);
	rec_str("path", path);
	rec_text("text", text, (size_t)length);
	rec_bool("cut", length == sizeof(text) - 1);
	rec_end();
	return STEP_DONE;
}

// SPDX-License-Identifier: MIT
/*
 * What the plan has set, read again: in samples, and before its end. A program may have changed it since.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"

enum { ROOM_FOR_PROCESSES = 16 * 1024, MAX_WATCHED = 64 };

/* Files that steps have set, with the number of writes to each that were the agent's. */
static struct { uint32_t path; int watch; unsigned int own; } watched[MAX_WATCHED];
static int watched_count;

/* Return a hash of a path (FNV-1a). */
static uint32_t hash_of(const char *path)
{
	uint32_t hash = 2166136261U;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 16777619U;
	return hash;
}

static int watched_file(const char *path)
{
	uint32_t hash = hash_of(path);

	for (int i = 0; i < watched_count; i++)
		if (watched[i].path == hash)
			return i;
	return -1;
}

/* To be called when a step has written to a file: what comes from now on is a program's. */
void note_set(const char *path)
{
	int at = watched_file(path);

	if (at < 0 && watched_count < MAX_WATCHED) {
		at = watched_count++;
		watched[at].path = hash_of(path);
		watched[at].watch = watch_writes(path);
	}
	if (at >= 0)
		watched[at].own = writes_of(watched[at].watch);
}

static bool is_written(const char *path)
{
	int at = watched_file(path);

	return at >= 0 && writes_of(watched[at].watch) != watched[at].own;
}

/*
 * What steps have set, for a comparison at the end: sysctls by their names, and files below /proc and /sys (a step `write`
 * or `cgroup`) by their paths. Files elsewhere belong to the programs.
 */
struct set_file {
	const struct step *step;
	const char *name;	/* of a sysctl; NULL: a file */
	const char *value;
	char path[PATH_BYTES];
};

static bool of_the_kernel(const char *path)
{
	return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0;
}

/* Find what the word of that index of a step has set. Returns false for a word that sets nothing. */
static bool set_by(const struct step *step, int index, struct set_file *file)
{
	const struct word *own = &step->words[index];

	if (!step->done)
		return false;
	*file = (struct set_file){ .step = step, .value = own->value };
	if (step->verb->begin == begin_cgroup && strchr(own->key, '.')) {
		cgroup_file(file->path, sizeof(file->path), word(step, "name"), own->key);
		return true;
	}
	if (strcmp(own->key, "value") != 0)
		return false;
	if (step->verb->begin == begin_sysctl)
		file->name = word(step, "name");
	else if (step->verb->begin != begin_write)
		return false;
	copy_name(file->path, sizeof(file->path), file->name ? sysctl_path(file->name) : word(step, "path"));
	return of_the_kernel(file->path);
}

/* Return whether a step after that one has set the same file again. */
static bool set_later(const struct set_file *file)
{
	for (const struct step *step = file->step + 1; step < plan.steps + plan.count; step++)
		for (int i = 0; i < step->count; i++) {
			struct set_file other;

			if (set_by(step, i, &other) && strcmp(other.path, file->path) == 0)
				return true;
		}
	return false;
}

static void each_set(bool sysctls, void (*each)(const struct set_file *file))
{
	for (int at = plan.count - 1; at >= 0; at--)
		for (int i = 0; i < plan.steps[at].count; i++) {
			struct set_file file;

			if (set_by(&plan.steps[at], i, &file) && sysctls == (file.name != NULL) && !set_later(&file))
				each(&file);
		}
}

/* ---- cgroups ---- */

/* Return the process's cgroup without the slash before it: "0::/small" of /proc/PID/cgroup is small. NULL: not known. */
static const char *cgroup_of(pid_t pid)
{
	static char text[PATH_BYTES];
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (slurp(path, text, sizeof(text)) <= 0 || strncmp(text, "0::/", 4) != 0)
		return NULL;
	trim(text);
	return text + 4;
}

static bool is_within(const char *group, const char *wanted)
{
	size_t length = strlen(wanted);

	return strncmp(group, wanted, length) == 0 && (!group[length] || group[length] == '/');
}

/* Record each process that is not in the cgroup that the plan has put its program into. */
void say_who_left(void)
{
	for (const struct step *step = plan.steps; step < plan.steps + plan.count && !cgroup_v1; step++) {
		const char *wanted = step->verb->begin == begin_spawn && step->done ? word(step, "cgroup") : NULL;
		const struct program *program = wanted && *wanted ? program_named(word(step, "program")) : NULL;

		if (!program)
			continue;
		for (struct member *m = member_of(program, NULL, NULL); m; m = member_of(program, NULL, m)) {
			const char *group = cgroup_of(m->pid);

			if (!group || is_within(group, wanted))
				continue;
			rec_begin("left_cgroup");
			say_member(m);
			rec_str("cgroup", wanted);
			rec_str("now", group);
			rec_end();
		}
	}
}

/* ---- sysctls and files ---- */

static void say_at_end(const struct set_file *file)
{
	rec_begin(file->name ? "sysctl_at_end" : "file_at_end");
	rec_str(file->name ? "name" : "path", file->name ? file->name : file->path);
	say_got(file->value, read_back(file->path));
	if (is_written(file->path))
		rec_bool("written", true);
	rec_end();
}

/* Record each sysctl and file at the end: the value written last, and the present one, which a program may have changed. */
void say_settings_at_end(void)
{
	each_set(true, say_at_end);
	each_set(false, say_at_end);
}

/* Each byte of a value may take six (\u0001), and the processes of the sample come after it. */
static bool has_room(const char *value)
{
	return 6 * strlen(value) + ROOM_FOR_PROCESSES < rec_room();
}

static bool any_said;

static void say_if_written(const struct set_file *file)
{
	const char *name = file->name ? file->name : file->path;

	if (!is_written(file->path) || !has_room(name))
		return;
	if (!any_said)
		rec_open("written", '[');
	any_said = true;
	rec_str(NULL, name);
}

static void say_now(const struct set_file *file)
{
	const char *value = read_back(file->path);

	if (!any_said)
		rec_open(file->name ? "sysctls" : "files", '{');
	any_said = true;
	if (value && has_room(value))
		rec_str(file->name ? file->name : file->path, value);
	else
		rec_null(file->name ? file->name : file->path);
}

/* Add to a sample what each sysctl and file that the plan has set is now: a panic leaves no time to read it at the end. */
void say_settings_now(void)
{
	for (int sysctls = 1; sysctls >= 0; sysctls--) {
		any_said = false;
		each_set(sysctls, say_now);
		if (any_said)
			rec_close('}');
	}
	any_said = false;
	each_set(true, say_if_written);
	each_set(false, say_if_written);
	if (any_said)
		rec_close(']');
}

// SPDX-License-Identifier: MIT
/*
 * What the plan has set, read again: in samples, and before its end. A program may have changed it since.
 */
#include <stddef.h>
#include <string.h>

#include "agent.h"

enum { ROOM_FOR_PROCESSES = 16 * 1024 };

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

static void say_at_end(const struct set_file *file)
{
	rec_begin(file->name ? "sysctl_at_end" : "file_at_end");
	rec_str(file->name ? "name" : "path", file->name ? file->name : file->path);
	say_got(file->value, read_back(file->path));
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
}

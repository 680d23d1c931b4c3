// SPDX-License-Identifier: MIT
/* Record what /proc reports about a program's processes: descriptors, the process tree, status, or any text file. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

static char text[16 * 1024];

/* What keeps the step from looking at one process: its message, and its errno. */
static struct { char why[192]; int err; } none;

/*
 * Return the one process of a program with that comm; without one, the process that the plan spawned. NULL, with the
 * reason in `none`, where there is none, or several: any of them would be a guess.
 */
static struct member *the_member(const struct program *program, const char *name, const char *comm)
{
	struct member *first = program ? member_of(program, comm, NULL) : NULL, *second;

	for (struct member *m = first; m && !comm; m = member_of(program, comm, m))
		if (m->pid == program->pid)
			return m;
	second = first ? member_of(program, comm, first) : NULL;
	if (first && !second)
		return first;
	none.err = first ? ENOTUNIQ : ESRCH;
	if (!first)
		snprintf(none.why, sizeof(none.why), "%s has no process%s%s", name, comm ? " named " : "", comm ? comm : "");
	else
		snprintf(none.why, sizeof(none.why), "%s has more than one process%s%s: %d (%s) and %d (%s)", name,
			 comm ? " named " : "", comm ? comm : "", first->pid, first->comm, second->pid, second->comm);
	return NULL;
}

struct member *one_member(const struct step *step)
{
	const char *name = word(step, "program");

	members_refresh();
	return the_member(program_named(name), name, word(step, "comm"));
}

/* To be called when one_member() has found none. */
enum outcome no_member(void)
{
	return fail(none.err, "%s", none.why);
}

void say_label(const struct step *step)
{
	if (word(step, "label"))
		rec_str("label", word(step, "label"));
	else
		rec_null("label");
}

void say_member(const struct member *m)
{
	rec_str("program", m->program->name);
	rec_str("comm", m->comm);
	rec_int("pid", m->pid);
}

static void say_fdinfo(pid_t pid, int number)
{
	char path[64], target[256];
	const char *link = path;
	ssize_t length;
	char *line, *save;
	int directory;

	rec_open(NULL, '{');
	rec_int("fd", number);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, number);
	directory = directory_of(&link);
	length = readlinkat(directory, link, target, sizeof(target));
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
		return no_member();
	for (int i = 0; i < step->count && count < 256; i++)
		if (strcmp(step->words[i].key, "fd") == 0)
			fds[count++] = atoi(step->words[i].value);
	if (all) {
		snprintf(path, sizeof(path), "/proc/%d/fd", m->task);
		fd = open_file(path, O_RDONLY | O_DIRECTORY);
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
		say_fdinfo(m->task, fds[i]);
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
	return the_member(program, name, spec[length] ? spec + length + 1 : NULL);
}

static const struct { const char *name; int type; } kcmp_types[] = {
	{ "file", KCMP_FILE }, { "vm", KCMP_VM }, { "files", KCMP_FILES }, { "fs", KCMP_FS },
	{ "sighand", KCMP_SIGHAND }, { "io", KCMP_IO }, { "sysvsem", KCMP_SYSVSEM },
};

/* kcmp(2) returns 0 for the same kernel object, 1 or 2 for different objects with an order, 3 for different without. */
enum outcome begin_kcmp(struct step *step)
{
	const char *type = word(step, "type") ?: "file", *a_fd = word(step, "a_fd"), *b_fd = word(step, "b_fd");
	struct member *a, *b;
	int which = -1;
	long result;

	members_refresh();
	a = member_spec(word(step, "a"));
	b = a ? member_spec(word(step, "b")) : NULL;
	if (!b)
		return no_member();
	for (size_t i = 0; i < sizeof(kcmp_types) / sizeof(kcmp_types[0]); i++)
		if (strcmp(kcmp_types[i].name, type) == 0)
			which = kcmp_types[i].type;
	if (which < 0)
		return fail(EINVAL, "kcmp has no type %s", type);
	if (which == KCMP_FILE && (!a_fd || !b_fd))
		return fail(EINVAL, "kcmp of files needs a_fd and b_fd");
	result = syscall(SYS_kcmp, a->task, b->task, which, a_fd ? atol(a_fd) : 0, b_fd ? atol(b_fd) : 0);
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
		return no_member();
	snprintf(path, sizeof(path), "/proc/%d/status", m->task);
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
	int left_out = 0;

	members_refresh();
	rec_begin("tree");
	say_label(step);
	rec_open("procs", '[');
	for (int i = 0; i < MAX_MEMBERS; i++) {
		const struct member *m = &members[i];
		char state[2] = { m->state, '\0' };

		if (!m->pid || m->stat_fd < 0 || (name && strcmp(m->program->name, name) != 0))
			continue;
		if (rec_room() <= 512) {
			left_out++;
			continue;
		}
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
	if (left_out + members_unwatched)
		rec_int("procs_left_out", left_out + members_unwatched);
	rec_end();
	return STEP_DONE;
}

/* Record any text file. {pid} in the path is replaced by the pid of the member that program= and comm= select. */
enum outcome begin_read(struct step *step)
{
	const char *asked = word(step, "path"), *mark = strstr(asked, "{pid}");
	char path[PATH_BYTES];
	ssize_t length;
	bool later;

	copy_name(path, sizeof(path), asked);
	if (mark) {
		struct member *m = word(step, "program") ? one_member(step) : NULL;

		if (!m)
			return word(step, "program") ? no_member()
						     : fail(EINVAL, "{pid} in a path needs program=");
		snprintf(path, sizeof(path), "%.*s%d%s", (int)(mark - asked), asked, m->pid, mark + 5);
	}
	length = slurp_named(path, text, sizeof(text), &later);
	if (length < 0)
		return fail(errno, "read of %s failed", path);
	rec_begin("read");
	say_label(step);
	rec_str("path", path);
	rec_text("text", text, (size_t)length);
	rec_bool("cut", length == sizeof(text) - 1);
	if (later)
		rec_bool("mounted_later", true);
	rec_end();
	return STEP_DONE;
}

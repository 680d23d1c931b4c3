// SPDX-License-Identifier: MIT
/*
 * The verbs that wait for programs that never stop themselves: until something listens on a port, until a program holds
 * so much memory, until one of the kernel's numbers passes a threshold.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

static char text[32 * 1024];

/* Fail the wait when the program that the step names has ended: the condition can no longer come true. */
static enum outcome wait_on(const struct step *step)
{
	const char *name = word(step, "program");
	const struct program *program = name ? program_named(name) : NULL;

	if (name && !program)
		return fail(ESRCH, "%s was not spawned", name);
	if (program && !program->alive && !member_of(program, NULL, NULL))
		return fail(ESRCH, "%s has ended", name);
	poll_again();
	return STEP_WAITING;
}

/* ---- a port ---- */

/*
 * Whether a socket on that port is in the state LISTEN (0A, TCP_LISTEN of include/net/tcp_states.h). A line of
 * /proc/net/tcp is "  0: 0100007F:18EB 00000000:0000 0A …" (get_tcp4_sock() of net/ipv4/tcp_ipv4.c).
 */
static bool listens(const char *path, unsigned long port)
{
	if (slurp(path, text, sizeof(text)) <= 0)
		return false;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		char *colon, *state;

		*end = '\0';
		colon = strchr(line, ':');			/* after the line's number */
		colon = colon ? strchr(colon + 1, ':') : NULL;	/* after the address */
		if (!colon || strtoul(colon + 1, &state, 16) != port || *state != ' ')
			continue;
		state = strchr(state + 1, ' ');			/* after the other address */
		if (state && strncmp(state + 1, "0A", 2) == 0)
			return true;
	}
	return false;
}

enum outcome begin_wait_port(struct step *step)
{
	return check_wait_port(step);
}

enum outcome check_wait_port(struct step *step)
{
	long port = 0;

	parse_int(word(step, "port"), 1, 65535, &port);
	if (listens("/proc/net/tcp", (unsigned long)port) || listens("/proc/net/tcp6", (unsigned long)port)) {
		saw("a listener on port %ld", port);
		return STEP_DONE;
	}
	saw("nobody listens on port %ld", port);
	return wait_on(step);
}

/* ---- memory ---- */

enum outcome begin_wait_rss(struct step *step)
{
	return check_wait_rss(step);
}

enum outcome check_wait_rss(struct step *step)
{
	const struct program *program = program_named(word(step, "program"));
	const char *comm = word(step, "comm");
	uint64_t min = 0, sum = 0;

	parse_size(word(step, "min"), &min);
	members_refresh();
	if (program)
		sum = taken_together(program, comm);
	saw("%llu kB", (unsigned long long)(sum / 1024));
	return sum >= min ? STEP_DONE : wait_on(step);
}

/* ---- a condition ---- */

static const struct { const char *name, *path; } sources[] = {
	{ "meminfo", "/proc/meminfo" },
	{ "vmstat", "/proc/vmstat" },
	{ "psi", "/proc/pressure/memory" },
};

struct condition {
	const char *path;
	char field[48];
	char operator[3];
	double number;
};

/* "meminfo.MemAvailable < 50000", "vmstat.pgmajfault >= 100", "psi.full.avg10 > 20" */
static bool parse_condition(const char *spec, struct condition *condition)
{
	char source[16], end;

	if (sscanf(spec, " %15[a-z].%47[A-Za-z0-9_.()] %2[<>=!] %lf %c", source, condition->field,
		   condition->operator, &condition->number, &end) != 4)
		return false;
	if (!strstr(" < <= > >= == != ", condition->operator))
		return false;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (strcmp(sources[i].name, source) == 0) {
			condition->path = sources[i].path;
			return true;
		}
	return false;
}

bool is_condition(const char *spec)
{
	struct condition condition;

	return parse_condition(spec, &condition);
}

/* "Key:  1234 kB", "key 1234", and for psi "some avg10=0.00 …", whose fields are some.avg10 and so on. */
static bool read_field(const struct condition *condition, double *value)
{
	const char *dot = strchr(condition->field, '.');
	char key[64], *at;
	size_t length;

	if (slurp(condition->path, text, sizeof(text)) <= 0)
		return false;
	snprintf(key, sizeof(key), "%.*s", dot ? (int)(dot - condition->field) : 63, condition->field);
	length = strlen(key);
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (strncmp(line, key, length) != 0 || (line[length] != ':' && line[length] != ' '))
			continue;
		at = line + length + 1;
		if (dot) {
			snprintf(key, sizeof(key), "%s=", dot + 1);
			at = strstr(at, key);
			if (!at)
				return false;
			at += strlen(key);
		}
		*value = strtod(at, NULL);
		return true;
	}
	return false;
}

static bool holds(const struct condition *condition, double value)
{
	const char *operator = condition->operator;
	bool equal = value == condition->number;

	switch (operator[0]) {
	case '<':
		return value < condition->number || (operator[1] && equal);
	case '>':
		return value > condition->number || (operator[1] && equal);
	}
	return operator[0] == '=' ? equal : !equal;
}

enum outcome begin_wait_until(struct step *step)
{
	return check_wait_until(step);
}

enum outcome check_wait_until(struct step *step)
{
	struct condition condition;
	double value;

	if (!parse_condition(word(step, "condition"), &condition))
		return fail(EINVAL, "'%s' is not a condition", word(step, "condition"));
	if (!read_field(&condition, &value))
		return fail(ENOENT, "%s has no %s", condition.path, condition.field);
	saw("%s %.12g", condition.field, value);
	return holds(&condition, value) ? STEP_DONE : wait_on(step);
}

// SPDX-License-Identifier: MIT
/* The types of a plan's values: how each is parsed, and which values are valid. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"

bool parse_int(const char *s, long min, long max, long *value)
{
	char *end;

	errno = 0;
	*value = strtol(s, &end, 10);
	return *s && !*end && !errno && *value >= min && *value <= max;
}

/* Convert "1.5" (seconds) to nanoseconds in integers: a double would be off by a few. */
bool parse_seconds(const char *s, int64_t *ns)
{
	int64_t whole = 0, part = 0, scale = NSEC;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		whole = whole * 10 + (*s - '0');
		if (whole > 1000000000)
			return false;
	}
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9'; s++)
			if (scale > 1) {
				scale /= 10;
				part += (*s - '0') * scale;
			}
	*ns = whole * NSEC + part;
	return !*s;
}

/* Bytes: 4096, 64K, 200M, 1G. */
bool parse_size(const char *s, uint64_t *bytes)
{
	char *end;
	int shift = 0;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*bytes = strtoull(s, &end, 10);
	switch (*end) {
	case 'K': case 'k': shift = 10; end++; break;
	case 'M': case 'm': shift = 20; end++; break;
	case 'G': case 'g': shift = 30; end++; break;
	}
	if (errno || *end || *bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

bool parse_hex(const char *s, uint64_t *value)
{
	char *end;

	if (!*s || *s == '-' || *s == '+' || *s == ' ')
		return false;
	errno = 0;
	*value = strtoull(s, &end, 16);
	return !*end && !errno;
}

int parse_signal(const char *name)
{
	long number;

	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (int sig = 1; sig < NSIG; sig++) {
		const char *known = sigabbrev_np(sig);

		if (known && strcmp(known, name) == 0)
			return sig;
	}
	return parse_int(name, 1, NSIG - 1, &number) ? (int)number : 0;
}

static bool is_text(const char *value)
{
	(void)value;
	return true;
}

static bool is_policy(const char *value)
{
	return strcmp(value, "go") == 0 || strcmp(value, "stop") == 0;
}

static bool is_seconds(const char *value)
{
	int64_t ns;

	return parse_seconds(value, &ns);
}

/* "oom": no period, but whenever memory has run out. */
static bool is_period(const char *value)
{
	return strcmp(value, "oom") == 0 || is_seconds(value);
}

static bool is_signal(const char *value)
{
	return parse_signal(value);
}

static bool is_count(const char *value)
{
	long number;

	return parse_int(value, 1, 1000000, &number);
}

static bool is_port(const char *value)
{
	long number;

	return parse_int(value, 1, 65535, &number);
}

/* include/uapi/linux/oom.h: OOM_SCORE_ADJ_MIN and OOM_SCORE_ADJ_MAX */
static bool is_score(const char *value)
{
	long number;

	return parse_int(value, -1000, 1000, &number);
}

/* The number of a user, a group or a file descriptor: it must fit an int. */
static bool is_id(const char *value)
{
	long number;

	return parse_int(value, 0, 0x7fffffff, &number);
}

static bool is_address(const char *value)
{
	uint64_t number;

	return parse_hex(value, &number);
}

static bool is_size(const char *value)
{
	uint64_t bytes;

	return parse_size(value, &bytes);
}

static bool is_program(const char *value)
{
	return *value && strlen(value) < NAME_BYTES && !strpbrk(value, "/:");
}

static bool is_comm(const char *value)
{
	return *value && strlen(value) < COMM_BYTES;
}

#define PROGRAM_NAME "is not a program's name: at most 47 bytes, no / and no :"

const struct type types[] = {
	{ "text", is_text, NULL, false },
	{ "policy", is_policy, "is neither go nor stop", false },
	{ "seconds", is_seconds, "is not a number of seconds", false },
	{ "period", is_period, "is neither a number of seconds nor oom", false },
	{ "signal", is_signal, "is not a signal", false },
	{ "count", is_count, "is not a number from 1 to 1000000", false },
	{ "port", is_port, "is not a port from 1 to 65535", false },
	{ "condition", is_condition,
	  "is not a condition: write meminfo.FIELD, vmstat.FIELD or psi.some.FIELD, a comparison and a number", false },
	{ "oom_score_adj", is_score, "is not a number from -1000 to 1000", false },
	{ "id", is_id, "is not an id", false },
	{ "fd", is_id, "is not a file descriptor", false },
	{ "index", is_id, "is not the index of a step", false },
	{ "address", is_address, "is not a hexadecimal number", false },
	{ "size", is_size, "is not a size: write bytes, or a number and K, M or G", false },
	{ "comm", is_comm, "is not a comm: the kernel keeps at most 15 bytes", false },
	{ "new", is_program, PROGRAM_NAME, false },
	{ "program", is_program, PROGRAM_NAME, true },
	{ "member", is_text, NULL, true },
};
const int type_count = sizeof(types) / sizeof(types[0]);

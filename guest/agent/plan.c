// SPDX-License-Identifier: MIT
/* The plan's text into steps, and everything about it that can be judged before it runs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

/* Keys end in * where they may be repeated; "." takes any key with a dot in it, as a cgroup's files have. */
const struct verb verbs[] = {
	{ "sysctl", "name value", "", false, begin_sysctl, NULL, NULL },
	{ "write", "path value", "mkdir", false, begin_write, NULL, NULL },
	{ "cgroup", "name", ".", false, begin_cgroup, NULL, NULL },
	{ "modprobe", "name", "", false, begin_modprobe, NULL, NULL },
	{ "swapon", "", "path mkswap zram", false, begin_swapon, NULL, NULL },
	{ "root", "name layer*", "hostname tmp", false, begin_root, NULL, NULL },
	{ "spawn", "program arg*", "env* cgroup oom_score_adj uid gid rlimit* cwd sched root stdin stream privileged", false, begin_spawn, NULL,
	  NULL },
	{ "wait_line", "program text", "count", true, begin_wait_line, check_wait_line, describe_line },
	{ "wait_state", "program state", "comm count", true, begin_wait_state, check_wait_state, describe_members },
	{ "wait_exit", "program", "comm count", true, begin_wait_exit, check_wait_exit, describe_members },
	{ "wait_port", "port", "program", true, begin_wait_port, check_wait_port, NULL },
	{ "wait_rss", "program min", "comm", true, begin_wait_rss, check_wait_rss, NULL },
	{ "wait_until", "condition", "program", true, begin_wait_until, check_wait_until, NULL },
	{ "wait_any", "", "oom exit* line* settle", true, begin_wait_any, check_wait_any, describe_members },
	{ "signal", "program signal", "comm timeout", false, begin_signal, check_signal, describe_members },
	{ "sleep", "seconds", "", false, begin_sleep, check_sleep, NULL },
	{ "sample", "", "every now label pss cgroup", false, begin_sample, NULL, NULL },
	{ "pagemap", "program", "comm start length region label pfns every", false, begin_pagemap, NULL, NULL },
	{ "check_rss", "program", "comm min max", false, begin_check_rss, NULL, NULL },
	{ "fds", "program", "comm label fd*", false, begin_fds, NULL, NULL },
	{ "kcmp", "a b", "type a_fd b_fd label", false, begin_kcmp, NULL, NULL },
	{ "status", "program", "comm label field*", false, begin_status, NULL, NULL },
	{ "tree", "", "program label", false, begin_tree, NULL, NULL },
	{ "read", "path", "program comm label", false, begin_read, NULL, NULL },
	{ "mark", "name", "", false, begin_mark, NULL, NULL },
	{ "end", "", "reason", false, begin_end, NULL, NULL },
};
const int verb_count = sizeof(verbs) / sizeof(verbs[0]);

struct plan plan;
static char text[PLAN_BYTES];
static struct word words[MAX_WORDS];

const char *word(const struct step *step, const char *key)
{
	for (int i = 0; i < step->count; i++)
		if (strcmp(step->words[i].key, key) == 0)
			return step->words[i].value;
	return NULL;
}

bool parse_int(const char *s, long min, long max, long *value)
{
	char *end;

	errno = 0;
	*value = strtol(s, &end, 10);
	return *s && !*end && !errno && *value >= min && *value <= max;
}

/* "1.5" to nanoseconds, exactly: a double would be off by a few. */
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

/* Is `key` in the blank separated `list`? *repeats tells of its star. */
static bool listed(const char *list, const char *key, bool *repeats)
{
	size_t length = strlen(key);

	for (const char *at = list; *at;) {
		size_t span = strcspn(at, " ");
		bool star = span > 0 && at[span - 1] == '*';

		if ((span - star == length && strncmp(at, key, length) == 0) ||
		    (span == 1 && *at == '.' && strchr(key, '.'))) {
			*repeats = star;
			return true;
		}
		at += span + (at[span] == ' ');
	}
	return false;
}

static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s != '\\' || !s[1]) {
			*to++ = *s;
			continue;
		}
		s++;
		*to++ = *s == 't' ? '\t' : *s == 'n' ? '\n' : *s == 'r' ? '\r' : *s;
	}
	*to = '\0';
}

static const char *bad_value(const struct step *step, const char *key, const char *value)
{
	int64_t ns;
	uint64_t size;
	long number;

	if (strcmp(key, "timeout") == 0 || strcmp(key, "settle") == 0 || strcmp(key, "seconds") == 0 ||
	    strcmp(key, "every") == 0)
		return parse_seconds(value, &ns) ? NULL : "is not a number of seconds";
	if (strcmp(key, "on_error") == 0)
		return strcmp(value, "go") == 0 || strcmp(value, "stop") == 0 ? NULL : "is neither go nor stop";
	if (strcmp(key, "signal") == 0)
		return parse_signal(value) ? NULL : "is not a signal";
	if (strcmp(key, "count") == 0)
		return parse_int(value, 1, 1000000, &number) ? NULL : "is not a number from 1 to 1000000";
	if (strcmp(key, "port") == 0)
		return parse_int(value, 1, 65535, &number) ? NULL : "is not a port from 1 to 65535";
	if (strcmp(key, "condition") == 0)
		return is_condition(value) ? NULL :
		       "is not a condition: write meminfo.FIELD, vmstat.FIELD or psi.some.FIELD, a comparison and a number";
	if (strcmp(key, "oom_score_adj") == 0)
		return parse_int(value, -1000, 1000, &number) ? NULL : "is not a number from -1000 to 1000";
	if (strcmp(key, "uid") == 0 || strcmp(key, "gid") == 0)
		return parse_int(value, 0, 0x7fffffff, &number) ? NULL : "is not an id";
	if (strcmp(key, "a_fd") == 0 || strcmp(key, "b_fd") == 0 || strcmp(key, "fd") == 0)
		return parse_int(value, 0, 0x7fffffff, &number) ? NULL : "is not a file descriptor";
	if (strcmp(key, "start") == 0 || (strcmp(key, "length") == 0 && strcmp(step->verb->name, "pagemap") == 0))
		return parse_hex(value, &size) ? NULL : "is not a hexadecimal number";
	if (strcmp(key, "min") == 0 || strcmp(key, "max") == 0 || strcmp(key, "zram") == 0 ||
	    (strcmp(key, "tmp") == 0 && strcmp(step->verb->name, "root") == 0))
		return parse_size(value, &size) ? NULL : "is not a size: write bytes, or a number and K, M or G";
	if (strcmp(key, "program") == 0 && (!*value || strlen(value) >= NAME_BYTES || strpbrk(value, "/:")))
		return "is not a program's name: at most 47 bytes, no / and no :";
	if (strcmp(key, "comm") == 0 && (!*value || strlen(value) >= COMM_BYTES))
		return "is not a comm: the kernel keeps at most 15 bytes";
	return NULL;
}

static const char *wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static const char *wrong(const char *format, ...)
{
	static char line[256];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return line;
}

/* The spawned names, in the plan's order, so that a step about a program that was never begun is seen at once. */
static const char *spawned[MAX_PROGRAMS];
static int spawned_count;

static bool is_spawned(const char *name, size_t length)
{
	for (int i = 0; i < spawned_count; i++)
		if (strlen(spawned[i]) == length && strncmp(spawned[i], name, length) == 0)
			return true;
	return false;
}

static const char *unknown_program(const struct step *step)
{
	for (int i = 0; i < step->count; i++) {
		const char *key = step->words[i].key, *value = step->words[i].value;
		bool waits_any = strcmp(step->verb->name, "wait_any") == 0;
		bool compares = strcmp(step->verb->name, "kcmp") == 0;

		if (strcmp(key, "program") == 0 ||
		    (waits_any && (strcmp(key, "exit") == 0 || strcmp(key, "line") == 0)) ||
		    (compares && (strcmp(key, "a") == 0 || strcmp(key, "b") == 0)))
			if (!is_spawned(value, strcspn(value, "/:")))
				return wrong("no program '%s' was spawned before this line", value);
	}
	return NULL;
}

static const char *judge(struct step *step)
{
	const char *needs = step->verb->needs, *value;
	bool repeats;

	for (int i = 0; i < step->count; i++) {
		const char *key = step->words[i].key, *bad;

		if (strcmp(key, "on_error") == 0) {
			step->go_on = strcmp(step->words[i].value, "go") == 0;
			repeats = false;
		} else if (strcmp(key, "timeout") == 0 && step->verb->check && step->verb->begin != begin_sleep) {
			parse_seconds(step->words[i].value, &step->timeout);
			repeats = false;
		} else if (!listed(needs, key, &repeats) && !listed(step->verb->takes, key, &repeats)) {
			return wrong("%s takes no key %s", step->verb->name, key);
		}
		for (int j = 0; j < i && !repeats; j++)
			if (strcmp(step->words[j].key, key) == 0)
				return wrong("the key %s stands twice", key);
		bad = bad_value(step, key, step->words[i].value);
		if (bad)
			return wrong("%s: '%s' %s", key, step->words[i].value, bad);
	}
	for (const char *at = needs; *at;) {
		char key[16];
		size_t span = strcspn(at, " ");

		copy_name(key, sizeof(key), at);
		key[span - (at[span - 1] == '*')] = '\0';
		if (!word(step, key))
			return wrong("%s needs the key %s", step->verb->name, key);
		at += span + (at[span] == ' ');
	}
	if (step->verb->waits && step->timeout == 0)
		return wrong("%s waits, so it needs timeout=SECONDS", step->verb->name);
	value = word(step, "program");
	if (step->verb->begin == begin_spawn) {
		if (!is_spawned(value, strlen(value))) {
			if (spawned_count == MAX_PROGRAMS)
				return "more than 16 programs: raise MAX_PROGRAMS in agent.h";
			spawned[spawned_count++] = value;
		}
		return NULL;
	}
	if (step->verb->begin == begin_pagemap && !word(step, "region") &&
	    (!word(step, "start") || !word(step, "length")))
		return "pagemap needs region=NAME, or start= and length=";
	if (step->verb->begin == begin_swapon && !word(step, "path") == !word(step, "zram"))
		return "swapon needs either path= or zram=";
	if (step->verb->begin == begin_wait_any && !word(step, "oom") && !word(step, "exit") && !word(step, "line"))
		return "wait_any needs one of oom=1, exit=, line=";
	return unknown_program(step);
}

static const struct verb *verb_named(const char *name)
{
	for (int i = 0; i < verb_count; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* Splits one line in place. Returns what is wrong with it, or NULL. */
static const char *read_step(char *line, int number, int *next_word)
{
	struct step *step = &plan.steps[plan.count];
	char *save, *name = strtok_r(line, "\t", &save);

	if (plan.count == MAX_STEPS)
		return "more than 512 steps";
	*step = (struct step){ .line = number, .words = &words[*next_word] };
	step->verb = name ? verb_named(name) : NULL;
	if (!step->verb)
		return wrong("there is no verb '%s'", name ? name : "");
	plan.count++;
	for (char *part = strtok_r(NULL, "\t", &save); part; part = strtok_r(NULL, "\t", &save)) {
		char *equals = strchr(part, '=');

		if (!equals)
			return wrong("'%s' is not key=value", part);
		if (*next_word == MAX_WORDS)
			return "more than 4096 words in the plan";
		*equals = '\0';
		unescape(equals + 1);
		words[(*next_word)++] = (struct word){ part, equals + 1 };
		step->count++;
	}
	return judge(step);
}

/* Returns the number of problems, each of which was told to `problem`; -1 with errno when it cannot be read. */
int plan_load(const char *path, void (*problem)(int line, const char *text))
{
	ssize_t length = slurp(path, text, sizeof(text));
	int problems = 0, number = 1, next_word = 0;
	char *line = text;

	plan.count = spawned_count = 0;
	if (length < 0)
		return -1;
	if (length == sizeof(text) - 1) {
		errno = EFBIG;
		return -1;
	}
	if (strlen(text) != (size_t)length) {
		problem(0, "the plan holds a NUL byte");
		return 1;
	}
	for (char *end; line; line = end, number++) {
		const char *bad;

		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		bad = read_step(line, number, &next_word);
		if (bad) {
			problem(number, bad);
			problems++;
		}
	}
	if (plan.count == 0 && problems == 0) {
		problem(0, "the plan holds no step");
		problems++;
	}
	return problems;
}

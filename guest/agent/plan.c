// SPDX-License-Identifier: MIT
/* Parse the plan's text into steps, and check everything that can be checked before it runs. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

/*
 * Keys are KEY[*][:TYPE]; a key with * may be repeated. Without a TYPE, the type is the one of the key's name in
 * values.c, or else text. "." accepts any key with a dot in it: the names of a cgroup's files have one.
 */
const struct verb verbs[] = {
	{ "sysctl", "name value", "", false, begin_sysctl, NULL, NULL },
	{ "write", "path value", "mkdir", false, begin_write, NULL, NULL },
	{ "cgroup", "name", ".", false, begin_cgroup, NULL, NULL },
	{ "modprobe", "name", "", false, begin_modprobe, NULL, NULL },
	{ "swapon", "", "path mkswap zram:size", false, begin_swapon, NULL, NULL },
	{ "root", "name layer*", "hostname tmp:size", false, begin_root, NULL, NULL },
	{ "mount", "label path", "root", false, begin_mount, NULL, NULL },
	{ "spawn", "program:new arg*",
	  "env* cgroup oom_score_adj uid:id gid:id rlimit* cwd sched root stdin stream tty privileged", false, begin_spawn,
	  NULL, NULL },
	{ "wait_line", "program text", "count", true, begin_wait_line, check_wait_line, describe_line },
	{ "wait_state", "program state", "comm count", true, begin_wait_state, check_wait_state, describe_members },
	{ "wait_exit", "program", "comm count", true, begin_wait_exit, check_wait_exit, describe_members },
	{ "wait_port", "port", "program", true, begin_wait_port, check_wait_port, NULL },
	{ "wait_rss", "program min:size", "comm", true, begin_wait_rss, check_wait_rss, NULL },
	{ "wait_until", "condition", "program", true, begin_wait_until, check_wait_until, NULL },
	{ "wait_any", "", "oom exit*:member line*:member settle:seconds", true, begin_wait_any,
	  check_wait_any, describe_members },
	{ "signal", "program signal", "comm timeout:seconds", false, begin_signal, check_signal, describe_members },
	{ "tell", "program text", "", false, begin_tell, NULL, NULL },
	{ "sleep", "seconds", "", false, begin_sleep, check_sleep, NULL },
	{ "wait_time", "at:seconds", "", false, begin_wait_time, check_sleep, NULL },
	{ "sample", "", "every:seconds now label pss cgroup", false, begin_sample, NULL, NULL },
	{ "heartbeat", "", "every:seconds cgroup label", false, begin_heartbeat, NULL, NULL },
	{ "pagemap", "program", "comm start:address length:address region label pfns every:period", false,
	  begin_pagemap, NULL, NULL },
	{ "check_rss", "program", "comm min:size max:size", false, begin_check_rss, NULL, NULL },
	{ "fds", "program", "comm label fd*", false, begin_fds, NULL, NULL },
	{ "kcmp", "a:member b:member", "type a_fd:fd b_fd:fd label", false, begin_kcmp, NULL, NULL },
	{ "status", "program", "comm label field*", false, begin_status, NULL, NULL },
	{ "tree", "", "program label", false, begin_tree, NULL, NULL },
	{ "read", "path", "program comm label", false, begin_read, NULL, NULL },
	{ "mark", "name", "", false, begin_mark, NULL, NULL },
	{ "branch", "name", "", false, begin_branch, NULL, NULL },
	{ "end", "", "reason", false, begin_end, NULL, NULL },
};
const int verb_count = sizeof(verbs) / sizeof(verbs[0]);

struct plan plan;
static char text[PLAN_BYTES];
static size_t text_length;
static struct word words[MAX_WORDS];
static int next_word;

/* What the waits have counted so far: steps that a continuation has too (was=INDEX) keep it. */
static struct { unsigned int seen; int matched; } counted[MAX_STEPS];
static int counted_steps;

const char *word(const struct step *step, const char *key)
{
	for (int i = 0; i < step->count; i++)
		if (strcmp(step->words[i].key, key) == 0)
			return step->words[i].value;
	return NULL;
}

/* The keys that every verb accepts, and those that every verb with `waits` accepts. */
static const char common_keys[] = "on_error:policy was:index";
static const char waiting_keys[] = "timeout:seconds";

static const struct type *type_named(const char *name, size_t length)
{
	for (int i = 0; i < type_count; i++)
		if (strlen(types[i].name) == length && memcmp(types[i].name, name, length) == 0)
			return &types[i];
	return NULL;
}

/* Parse the first key of a list of the verb table. Returns the rest of the list. */
static const char *next_key(const char *list, struct key *key)
{
	size_t span = strcspn(list, " "), length = strcspn(list, "*: "), type = strcspn(list, ": ");

	key->name = list;
	key->length = length;
	key->repeats = list[length] == '*';
	key->type = type < span ? type_named(list + type + 1, span - type - 1) : type_named(list, length);
	if (!key->type)
		key->type = &types[0];
	return list + span + (list[span] == ' ');
}

static bool find_in(const char *list, const char *name, struct key *key)
{
	while (*list) {
		list = next_key(list, key);
		if (strlen(name) == key->length && memcmp(key->name, name, key->length) == 0)
			return true;
		if (key->length == 1 && *key->name == '.' && strchr(name, '.'))
			return true;
	}
	return false;
}

static bool find_key(const struct verb *verb, const char *name, struct key *key)
{
	return find_in(verb->needs, name, key) || find_in(verb->takes, name, key) ||
	       find_in(common_keys, name, key) || (verb->waits && find_in(waiting_keys, name, key));
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

/* The names that steps so far have spawned: a step about a program that was never spawned is an error of the plan. */
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
		const char *value = step->words[i].value;
		struct key key;

		if (find_key(step->verb, step->words[i].key, &key) && key.type->spawned &&
		    !is_spawned(value, strcspn(value, "/:")))
			return wrong("no program '%s' was spawned before this line", value);
	}
	return NULL;
}

/* Check one word of a step against the verb table. */
static const char *judge_word(const struct step *step, int index)
{
	const struct word *own = &step->words[index];
	struct key key;

	if (!find_key(step->verb, own->key, &key))
		return wrong("%s takes no key %s", step->verb->name, own->key);
	for (int i = 0; i < index && !key.repeats; i++)
		if (strcmp(step->words[i].key, own->key) == 0)
			return wrong("the key %s stands twice", own->key);
	if (!key.type->is_valid(own->value))
		return wrong("%s: '%s' %s", own->key, own->value, key.type->problem);
	return NULL;
}

static const char *judge(struct step *step)
{
	const char *value, *bad;

	for (int i = 0; i < step->count; i++) {
		bad = judge_word(step, i);
		if (bad)
			return bad;
	}
	for (const char *list = step->verb->needs; *list;) {
		struct key key;
		char name[16];

		list = next_key(list, &key);
		snprintf(name, sizeof(name), "%.*s", (int)key.length, key.name);
		if (!word(step, name))
			return wrong("%s needs the key %s", step->verb->name, name);
	}
	value = word(step, "was");
	if (value) {
		long was;

		if (!parse_int(value, 0, counted_steps - 1, &was))
			return wrong("there was no step %s", value);
		step->seen = counted[was].seen;
		if (counted[was].matched >= 0 && counted[was].matched < step->count)
			step->matched = step->words[counted[was].matched].value;
	}
	value = word(step, "on_error");
	step->go_on = value && strcmp(value, "go") == 0;
	value = word(step, "timeout");
	if (value)
		parse_seconds(value, &step->timeout);
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

/* Split one line into words, in place. Returns what is wrong with it, or NULL. */
static const char *read_step(char *line, int number)
{
	struct step *step = &plan.steps[plan.count];
	char *save, *name = strtok_r(line, "\t", &save);

	if (plan.count == MAX_STEPS)
		return "more than 512 steps";
	*step = (struct step){ .line = number, .text = line, .words = &words[next_word] };
	step->verb = name ? verb_named(name) : NULL;
	if (!step->verb)
		return wrong("there is no verb '%s'", name ? name : "");
	plan.count++;
	for (char *part = strtok_r(NULL, "\t", &save); part; part = strtok_r(NULL, "\t", &save)) {
		char *equals = strchr(part, '=');

		if (!equals)
			return wrong("'%s' is not key=value", part);
		if (next_word == MAX_WORDS)
			return "more than 4096 words in the plan";
		*equals = '\0';
		unescape(equals + 1);
		words[next_word++] = (struct word){ part, equals + 1 };
		step->count++;
	}
	return judge(step);
}

/* Read the lines from `line` on and append their steps. Returns the number of problems, each passed to `problem`. */
static int read_lines(char *line, void (*problem)(int line, const char *text))
{
	int problems = 0, number = 1;

	for (char *end; line; line = end, number++) {
		const char *bad;

		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		bad = read_step(line, number);
		if (bad) {
			problem(number, bad);
			problems++;
		}
	}
	return problems;
}

/* Return the number of problems, each passed to `problem`; -1 with errno when the plan cannot be read. */
int plan_load(const char *path, void (*problem)(int line, const char *text))
{
	ssize_t length = slurp(path, text, sizeof(text));
	int problems;

	plan.count = spawned_count = counted_steps = next_word = 0;
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
	text_length = (size_t)length;
	problems = read_lines(text, problem);
	if (plan.count == 0 && problems == 0) {
		problem(0, "the plan holds no step");
		problems++;
	}
	return problems;
}

/* The text of the kept steps stays: their words point into it. What follows it is free for the continuation's. */
char *plan_room(int kept, size_t *room)
{
	char *start = kept < plan.count ? plan.steps[kept].text : text + text_length + 1;

	*room = start < text + sizeof(text) ? (size_t)(text + sizeof(text) - start) : 0;
	return start;
}

static int index_of(const struct step *step, const char *matched)
{
	for (int i = 0; i < step->count; i++)
		if (step->words[i].value == matched)
			return i;
	return -1;
}

/* Replace the steps from `kept` on by those of a text of that length, which stands at plan_room(). */
int plan_replace(int kept, size_t length, void (*problem)(int line, const char *text))
{
	size_t room;
	char *start = plan_room(kept, &room);

	counted_steps = plan.count;
	for (int i = 0; i < plan.count; i++) {
		counted[i].seen = plan.steps[i].seen;
		counted[i].matched = index_of(&plan.steps[i], plan.steps[i].matched);
	}
	if (kept < plan.count)
		next_word = (int)(plan.steps[kept].words - words);
	plan.count = kept;
	spawned_count = 0;
	for (int i = 0; i < kept; i++) {
		const char *name = word(&plan.steps[i], "program");

		if (plan.steps[i].verb->begin == begin_spawn && !is_spawned(name, strlen(name)))
			spawned[spawned_count++] = name;
	}
	start[length] = '\0';
	text_length = (size_t)(start - text) + length;
	return read_lines(start, problem);
}

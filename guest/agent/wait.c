// SPDX-License-Identifier: MIT
/* The verbs that wait, and the events that they count. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "agent.h"

/* Poll a condition that has no event: at short intervals at first, because it often comes true soon, then seldom. */
#define POLL_FIRST (NSEC / 1000)
#define POLL_LAST (NSEC / 20)

static unsigned int ooms, ooms_taken;	/* OOMs since the plan began; those that ended a wait_any */
static unsigned int ooms_before;	/* ooms_taken when the wait_any in progress began */
static char ended_name[NAME_BYTES + COMM_BYTES + 1];	/* the exit that ended a wait_any */

void poll_again(void)
{
	note.poll = note.poll == 0 ? POLL_FIRST : note.poll < POLL_LAST ? note.poll * 2 : POLL_LAST;
}

static const struct program *of(const struct step *step)
{
	return program_named(word(step, "program"));
}

static int count_of(const struct step *step)
{
	const char *text = word(step, "count");
	long count = 1;

	if (text)
		parse_int(text, 1, 1000000, &count);
	return (int)count;
}

/* ---- lines: each wait step counts its matches from the program's spawn on, not from its own begin ---- */

static bool line_matches(const char *spec, const struct program *program, const char *text)
{
	size_t name = strcspn(spec, ":");

	return spec[name] && strlen(program->name) == name && strncmp(spec, program->name, name) == 0 &&
	       strstr(text, spec + name + 1);
}

static void each_line_wait(const struct program *program, const char *text)
{
	for (int i = 0; i < plan.count; i++) {
		struct step *step = &plan.steps[i];

		if (step->verb->begin == begin_wait_line) {
			if (strcmp(word(step, "program"), program->name) != 0)
				continue;
			if (!text)
				step->seen = 0;
			else if (strstr(text, word(step, "text")))
				step->seen++;
		} else if (step->verb->begin == begin_wait_any && text) {
			for (int j = 0; j < step->count; j++)
				if (strcmp(step->words[j].key, "line") == 0 &&
				    line_matches(step->words[j].value, program, text)) {
					step->seen++;
					step->matched = step->words[j].value;
				}
		}
	}
}

void count_line(const struct program *program, const char *text)
{
	each_line_wait(program, text);
}

void forget_lines(const struct program *program)
{
	each_line_wait(program, NULL);
}

enum outcome begin_wait_line(struct step *step)
{
	return check_wait_line(step);
}

enum outcome check_wait_line(struct step *step)
{
	const struct program *program = of(step);

	if (step->seen >= (unsigned int)count_of(step)) {
		saw("%u of %d lines", step->seen, count_of(step));
		return STEP_DONE;
	}
	if (!program)
		return fail(ESRCH, "%s was not spawned", word(step, "program"));
	if (!program->alive && program->out.fd < 0) {
		describe_line(step);
		return fail(ESRCH, "%s has ended and can say no more", program->name);
	}
	return STEP_WAITING;
}

void describe_line(struct step *step)
{
	const struct program *program = of(step);

	saw("%u of %d lines; the last line was '%s'", step->seen, count_of(step), program ? program->last_line : "");
}

/* ---- states ---- */

/* With comm=, the members of that name; without, only the spawned process. */
static bool chosen(const struct member *m, const struct program *program, const char *comm)
{
	return m->pid && m->stat_fd >= 0 && m->program == program &&
	       (comm ? strcmp(m->comm, comm) == 0 : m->pid == program->pid);
}

enum outcome begin_wait_state(struct step *step)
{
	return check_wait_state(step);
}

enum outcome check_wait_state(struct step *step)
{
	const struct program *program = of(step);
	const char *comm = word(step, "comm"), *states = word(step, "state");
	int found = 0;

	if (!program)
		return fail(ESRCH, "%s was not spawned", word(step, "program"));
	members_refresh();
	for (int i = 0; i < MAX_MEMBERS; i++)
		if (chosen(&members[i], program, comm) && strchr(states, members[i].state))
			found++;
	if (found >= count_of(step)) {
		describe_members(step);
		return STEP_DONE;
	}
	if (!member_of(program, NULL, NULL) && !program->alive) {
		describe_members(step);
		return fail(ESRCH, "%s has ended", program->name);
	}
	poll_again();
	return STEP_WAITING;
}

/* "child 123 T, cow-writer 122 S" */
void describe_members(struct step *step)
{
	const struct program *program = word(step, "program") ? of(step) : NULL;
	char text[sizeof(note.saw)] = "";
	size_t at = 0;

	members_refresh();
	for (int i = 0; i < MAX_MEMBERS && at < sizeof(text) - 64; i++) {
		const struct member *m = &members[i];

		if (m->pid && m->stat_fd >= 0 && (!program || m->program == program))
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %d %c", at ? ", " : "", m->comm,
					       m->pid, m->state);
	}
	saw("%s", at ? text : "no process");
}

/* ---- exits ---- */

static void describe_end(const char *program, const char *comm, int status)
{
	const char *slash = *comm ? "/" : "";

	if (status < 0)
		saw("exit %s%s%s", program, slash, comm);
	else if (WIFSIGNALED(status))
		saw("exit %s%s%s signal %s", program, slash, comm, sigabbrev_np(WTERMSIG(status)) ?: "?");
	else
		saw("exit %s%s%s code %d", program, slash, comm, WEXITSTATUS(status));
}

static int ended_members(const struct program *program, const char *comm)
{
	int found = 0;

	for (int i = 0; i < MAX_MEMBERS; i++)
		if (members[i].pid && members[i].ended && !members[i].owed && members[i].program == program &&
		    strcmp(members[i].comm, comm) == 0) {
			describe_end(program->name, comm, members[i].exit_code);
			found++;
		}
	return found;
}

enum outcome begin_wait_exit(struct step *step)
{
	members_refresh();	/* opens a pidfd of each member, so that its end wakes the agent */
	return check_wait_exit(step);
}

enum outcome check_wait_exit(struct step *step)
{
	const struct program *program = of(step);
	const char *comm = word(step, "comm");

	if (!program)
		return fail(ESRCH, "%s was not spawned", word(step, "program"));
	if (!comm) {
		if (program->alive)
			return STEP_WAITING;
		describe_end(program->name, "", program->status);
		return STEP_DONE;
	}
	if (ended_members(program, comm) >= count_of(step))
		return STEP_DONE;
	if (!member_of(program, NULL, NULL) && !program->alive) {
		saw("no process");
		return fail(ESRCH, "%s has ended, and no %s was seen to end before", program->name, comm);
	}
	if (!member_of(program, comm, NULL)) {
		members_refresh();
		poll_again();	/* the process does not exist yet: no pidfd can wake the agent */
	} else {
		note.poll = 0;
	}
	return STEP_WAITING;
}

/* ---- the first of several ---- */

static bool exit_wanted(const struct step *step, const char *program, const char *comm, pid_t pid)
{
	const struct program *known = program_named(program);

	for (int i = 0; i < step->count; i++) {
		const char *value = step->words[i].value;
		size_t name = strcspn(value, "/");

		if (strcmp(step->words[i].key, "exit") != 0 || strlen(program) != name ||
		    strncmp(value, program, name) != 0)
			continue;
		if (value[name] ? strcmp(value + name + 1, comm) == 0 : known && known->pid == pid)
			return true;
	}
	return false;
}

static struct step *any_step;

void exited(const char *program, const char *comm, pid_t pid, int status)
{
	(void)status;
	if (!any_step || ended_name[0] || !exit_wanted(any_step, program, comm, pid))
		return;
	snprintf(ended_name, sizeof(ended_name), "%s/%s", program, comm);
}

void count_oom(void)
{
	ooms++;
}

/* An end before the step's begin counts too: otherwise the wait would depend on a race. */
static void look_back(const struct step *step)
{
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].pid && !programs[i].alive && !ended_name[0] &&
		    exit_wanted(step, programs[i].name, "", programs[i].pid))
			copy_name(ended_name, sizeof(ended_name), programs[i].name);
	for (int i = 0; i < MAX_MEMBERS && !ended_name[0]; i++)
		if (members[i].pid && members[i].ended && !members[i].owed &&
		    exit_wanted(step, members[i].program->name, members[i].comm, members[i].pid))
			snprintf(ended_name, sizeof(ended_name), "%s/%s", members[i].program->name, members[i].comm);
}

enum outcome begin_wait_any(struct step *step)
{
	ended_name[0] = '\0';
	ooms_before = ooms_taken;
	any_step = step;
	members_refresh();
	look_back(step);
	return check_wait_any(step);
}

enum outcome check_wait_any(struct step *step)
{
	const char *settle = word(step, "settle");
	int64_t rest = 0;

	if (note.due)
		return now_ns() >= note.due ? STEP_DONE : STEP_WAITING;
	if (word(step, "oom") && ooms > ooms_taken) {
		saw("oom");
		ooms_taken = ooms;
	} else if (ended_name[0]) {
		saw("exit %s", ended_name);
	} else if (step->seen) {
		saw("line %s", step->matched);
	} else {
		return STEP_WAITING;
	}
	any_step = NULL;
	if (settle)
		parse_seconds(settle, &rest);
	if (rest == 0)
		return STEP_DONE;
	note.due = now_ns() + rest;
	return STEP_WAITING;
}

/* A step that a continuation begins anew sees what ended it before. */
void wait_abandoned(const struct step *step)
{
	if (step->verb->begin == begin_wait_any)
		ooms_taken = ooms_before;
	any_step = NULL;
}

/* ---- time ---- */

enum outcome begin_sleep(struct step *step)
{
	int64_t ns = 0;

	parse_seconds(word(step, "seconds"), &ns);
	note.due = now_ns() + ns;
	return ns ? STEP_WAITING : STEP_DONE;
}

enum outcome begin_wait_time(struct step *step)
{
	parse_seconds(word(step, "at"), &note.due);
	return check_sleep(step);
}

enum outcome check_sleep(struct step *step)
{
	(void)step;
	return now_ns() >= note.due ? STEP_DONE : STEP_WAITING;
}

enum outcome begin_end(struct step *step)
{
	(void)step;
	return STEP_END;
}

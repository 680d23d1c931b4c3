// SPDX-License-Identifier: MIT
/*
 * What the kernel's events of forks and ends mean (connector.c has how they come). A process that its parent reaps at
 * once, or that is reaped without a wait (SIGCHLD ignored), has left /proc before the agent can look there, and of more
 * than MAX_MEMBERS processes some are never watched. So the agent follows who forked whom, and records the failing ends
 * that it does not learn of otherwise.
 */
#include <linux/cn_proc.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

enum { MOST_SAID = 1000, REAPED = 64, KINDS = 16 };

static pid_t reaped[REAPED];	/* by the agent, before the kernel's event of their end came */
static unsigned int reaped_at;
static int said;
static int64_t left_out;
static struct { const struct program *program; char comm[COMM_BYTES]; int64_t count; } kind[KINDS];	/* of those left out */
static int kinds;

/* The processes that the agent starts: program is NULL for one that belongs to no program (a shell for the user). */
void ends_own(pid_t pid, const struct program *program)
{
	if (ends_fd() >= 0)
		new_life(pid, program ? owner_index(program) : OF_NO_PROGRAM, program ? program->name : "");
}

/* Return the program whose descendant an orphan is that the agent is about to reap, or NULL. */
const struct program *ends_owner(pid_t pid)
{
	return owner_of(life_of(pid));
}

/* Return whether the end of this process is not recorded yet, and note that it is now. */
bool ends_first_said(pid_t pid)
{
	struct life *life = life_of(pid);
	bool first = !life || !life->said;

	if (life)
		life->said = true;
	return first;
}

/* Return whether an orphan that no program is known to own may be a program's all the same. */
bool ends_may_be_owned(pid_t pid)
{
	const struct life *life = life_of(pid);

	return ends_fd() >= 0 && (!life || life->owner != OF_NO_PROGRAM);
}

/* The agent reaps it. Returns whether its end is not recorded yet: it may have been a zombie before it was an orphan. */
bool ends_reaped(pid_t pid)
{
	const struct life *life = life_of(pid);

	if (ends_fd() >= 0 && (!life || !life->ended))
		reaped[reaped_at++ % REAPED] = pid;
	return ends_first_said(pid);
}

static bool was_reaped(pid_t pid)
{
	for (int i = 0; i < REAPED; i++)
		if (reaped[i] == pid) {
			reaped[i] = 0;
			return true;
		}
	return false;
}

/* A process that the agent has not seen to be forked by a known one: its session tells its program. */
static void meet(pid_t pid)
{
	struct member probe = { .pid = pid, .stat_fd = -1 };

	if (read_stat(&probe))
		new_life(pid, owner_index(program_of_session(probe.sid)), probe.comm);
	else
		new_life(pid, OF_NOBODY_KNOWN, "");
}

void ends_forked(pid_t parent, pid_t thread, pid_t child)
{
	struct life *known = life_of(parent), *own = life_of(child);

	if (parent == getpid() && own && !own->ended)
		return;		/* ends_own() has it */
	if (parent == KTHREADD)
		new_life(child, OF_NO_PROGRAM, "");
	else if (!known || parent == getpid())
		meet(child);
	else	/* Another child of the agent was forked by a program (CLONE_PARENT), and does not come here. */
		share_vm(known, thread, new_life(child, known->owner, known->comm));
}

static void executed(pid_t pid)
{
	struct life *life = life_of(pid);
	struct member probe = { .pid = pid, .stat_fd = -1 };

	if (!life || life->owner == OF_NO_PROGRAM)
		return;
	life->ended = false;	/* execve(2) by a thread: the process has outlived its first thread */
	life->vm = 0;
	if (read_stat(&probe))
		copy_name(life->comm, sizeof(life->comm), probe.comm);
}

static void renamed(pid_t pid, const char *comm)
{
	struct life *life = life_of(pid);

	if (life)
		copy_name(life->comm, sizeof(life->comm), comm);
}

/* Count a failing end that is not recorded, by its program and comm where there is room. */
static void leave_out(const struct life *life)
{
	const struct program *program = owner_of(life);
	int i;

	left_out++;
	for (i = 0; i < kinds && (kind[i].program != program || strcmp(kind[i].comm, life ? life->comm : "") != 0);)
		i++;
	if (i == KINDS)
		return;
	if (i == kinds) {
		kind[kinds++].program = program;
		copy_name(kind[i].comm, sizeof(kind[i].comm), life ? life->comm : "");
	}
	kind[i].count++;
}

static void say_end_of(const struct life *life, pid_t pid, int status)
{
	const struct program *program = owner_of(life);

	if (said == MOST_SAID) {
		leave_out(life);
		return;
	}
	said++;
	rec_begin("exit");
	rec_str("program", program ? program->name : "");
	rec_str("comm", life ? life->comm : "");
	rec_int("pid", pid);
	if (status & 0x7f)
		rec_str("signal", sigabbrev_np(status & 0x7f) ?: "?");
	else
		rec_int("code", status >> 8 & 0xff);
	rec_null("maxrss_kb");
	say_shared_vm(pid);
	rec_end();
	if (program)
		exited(program->name, life->comm, pid, status);
}

/* Return whether a step of the plan may have waited for this. */
static bool ended(const struct exit_proc_event *exit)
{
	pid_t pid = exit->process_tgid;
	int status = (int)exit->exit_code;
	struct life *life = life_of(pid);

	/* Of the other threads only a signal counts that ended the process after its first thread had left it. */
	if (exit->process_pid != pid && !(status & 0x7f && life && life->ended && !life->said))
		return false;
	if (life)
		life->ended = true;
	/* reap() records the end of the agent's own children, with what they used. */
	if ((life && life->owner == OF_NO_PROGRAM) || exit->parent_tgid == getpid() || was_reaped(pid))
		return false;
	if (member_told(pid, status))
		return true;
	if (!(status & 0xff7f) || !ends_first_said(pid))
		return false;
	say_end_of(life, pid, status);
	return true;
}

/* Take in an event. Returns whether a step of the plan may have waited for it. */
bool ends_take(const struct proc_event *event)
{
	switch ((unsigned int)event->what) {
	case PROC_EVENT_EXEC:
		executed(event->event_data.exec.process_tgid);
		return false;
	case PROC_EVENT_COMM:
		if (event->event_data.comm.process_pid == event->event_data.comm.process_tgid)
			renamed(event->event_data.comm.process_pid, event->event_data.comm.comm);
		return false;
	case PROC_EVENT_EXIT:
		return ended(&event->event_data.exit);
	}
	return false;
}

/*
 * Record the end of a process of which no event came. A zombie still has its status in /proc. If the pid has a new process
 * since, that one is known.
 */
void say_unknown_end(struct life *life)
{
	struct member probe = { .pid = life->pid, .stat_fd = -1 };
	const struct program *program = owner_of(life);
	bool there;

	if (life->ended || life->said || life->owner == OF_NO_PROGRAM)
		return;
	there = read_stat(&probe);
	if (there && probe.state != 'Z')
		return;
	life->ended = life->said = true;
	if (there) {
		if (probe.exit_code & 0xff7f)
			say_end_of(life, life->pid, probe.exit_code);
		return;
	}
	rec_begin("exit");
	rec_str("program", program ? program->name : "");
	rec_str("comm", life->comm);
	rec_int("pid", life->pid);
	rec_null("code");
	rec_null("maxrss_kb");
	say_shared_vm(life->pid);
	rec_end();
}

/* Into the record `end`: how many failing ends are not recorded, and whose. */
void say_left_out(void)
{
	rec_int("ends_left_out", left_out);
	rec_open("left_out_of", '[');
	for (int i = 0; i < kinds; i++) {
		rec_open(NULL, '[');
		rec_str(NULL, kind[i].program ? kind[i].program->name : "");
		rec_str(NULL, kind[i].comm);
		rec_int(NULL, kind[i].count);
		rec_close(']');
	}
	rec_close(']');
}

// SPDX-License-Identifier: MIT
/*
 * The processes of the plan's programs: the members of each program's session. They are found by walking the tree of
 * children from the agent downwards. As PID 1 the agent is an ancestor of every user process, and kernel threads are
 * skipped without a look. Files of /proc stay open, and a pidfd reports a process's end without polling.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

#define FILTER_BITS 4096
#define OWED (NSEC / 20)

struct member members[MAX_MEMBERS];
int members_unwatched;
/* A bit for each pid that may be watched, by its last 12 bits: of thousands of others most need no search. */
static uint64_t filter[FILTER_BITS / 64];
static int free_slots;

const struct program *program_of_session(pid_t sid)
{
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].pid && programs[i].pid == sid)
			return &programs[i];
	return NULL;
}

static void close_member(struct member *m)
{
	int *fds[] = { &m->stat_fd, &m->status_fd, &m->score_fd, &m->adj_fd, &m->children_fd, &m->pidfd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* Return the watched process with that pid. A zombie counts: its pid is in use until it is reaped. */
static struct member *find(pid_t pid)
{
	for (int i = 0; i < MAX_MEMBERS; i++)
		if (members[i].pid == pid && members[i].stat_fd >= 0)
			return &members[i];
	return NULL;
}

static bool may_be_watched(pid_t pid)
{
	unsigned int bit = (unsigned int)pid % FILTER_BITS;

	return filter[bit / 64] >> bit % 64 & 1;
}

static void note_pid(pid_t pid)
{
	unsigned int bit = (unsigned int)pid % FILTER_BITS;

	filter[bit / 64] |= 1ULL << bit % 64;
}

static void say_exit_of(struct member *m, bool known)
{
	m->owed = 0;
	if (!known)
		m->exit_code = -1;
	if (!ends_first_said(m->pid))
		return;		/* a zombie that was first looked at after the kernel's event of its end */
	rec_begin("exit");
	rec_str("program", m->program->name);
	rec_str("comm", m->comm);
	rec_int("pid", m->pid);
	if (!known)
		rec_null("code");
	else if (m->exit_code & 0x7f)
		rec_str("signal", sigabbrev_np(m->exit_code & 0x7f) ?: "?");
	else
		rec_int("code", m->exit_code >> 8 & 0xff);
	rec_int("minflt", (int64_t)m->minflt);
	rec_int("majflt", (int64_t)m->majflt);
	rec_time("utime", (int64_t)m->utime * (NSEC / sysconf(_SC_CLK_TCK)));
	rec_time("stime", (int64_t)m->stime * (NSEC / sysconf(_SC_CLK_TCK)));
	rec_null("maxrss_kb");
	say_shared_vm(m->pid);
	rec_end();
	exited(m->program->name, m->comm, m->pid, m->exit_code);
}

/* Return a free slot, or else the slot of the process that was reaped longest ago. */
static struct member *free_slot(void)
{
	struct member *oldest = NULL;

	for (int i = 0; i < MAX_MEMBERS; i++) {
		if (!members[i].pid)
			return &members[i];
		if (members[i].stat_fd < 0 && (!oldest || members[i].started < oldest->started))
			oldest = &members[i];
	}
	if (oldest && oldest->owed)
		say_exit_of(oldest, false);
	return oldest;
}

static struct member *meet(pid_t pid, const struct member *parent)
{
	struct member m = { .pid = pid, .status_fd = -1, .score_fd = -1, .adj_fd = -1, .pidfd = -1,
			    .children_fd = -1, .stat_fd = -1 };
	struct member *slot;

	/* Those that the plan spawned are few. */
	if (!may_take(3 * FILE_BYTES) && !program_of_session(pid)) {
		members_unwatched++;
		return NULL;
	}
	m.stat_fd = open_of(pid, 0, "stat");
	if (m.stat_fd < 0)
		return NULL;
	if (read_stat(&m)) {
		m.program = program_of_session(m.sid);
		if (!m.program && parent)
			m.program = parent->program;	/* a daemon, which called setsid(2) */
	}
	slot = m.program ? free_slot() : NULL;
	if (!slot) {
		if (m.program)
			members_unwatched++;
		close(m.stat_fd);
		return NULL;
	}
	m.children_fd = open_of(pid, pid, "children");
	m.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	*slot = m;
	note_pid(pid);
	free_slots--;
	return slot;
}

/*
 * Called when a member's pidfd became readable or the member disappeared from /proc. A zombie's stat still has the exit
 * code, unless it was reaped already: then the kernel's event has it, which comes a moment later (do_exit() of
 * kernel/exit.c wakes the parent before). reap() reports the agent's own children, with their resource usage.
 */
void member_ended(struct member *m)
{
	bool known;

	if (m->ended)
		return;
	known = read_stat(m) && m->state == 'Z';
	m->ended = true;
	if (m->pidfd >= 0)
		close(m->pidfd);
	m->pidfd = -1;
	if (m->ppid == getpid())
		return;
	if (!known && m->told) {
		m->exit_code = m->told_code;
		known = true;
	}
	if (!known && ends_fd() >= 0)
		m->owed = now_ns() + OWED;
	else
		say_exit_of(m, known);
}

/* The kernel's event of a process's end. Returns whether it is watched, and its exit is recorded here. */
bool member_told(pid_t pid, int status)
{
	struct member *m;

	for (m = members; m < members + MAX_MEMBERS; m++)
		if (m->pid == pid && m->owed) {
			m->exit_code = status;
			say_exit_of(m, true);
			return true;
		}
	m = find(pid);
	if (!m)
		return false;
	m->told = true;
	m->told_code = status;
	return true;
}

/* Return until when (ns) an exit record waits for the kernel's event, which may have been lost. */
int64_t members_owed(void)
{
	int64_t until = INT64_MAX;

	for (int i = 0; i < MAX_MEMBERS; i++)
		if (members[i].owed && members[i].owed < until)
			until = members[i].owed;
	return until;
}

void members_owed_due(int64_t now)
{
	for (int i = 0; i < MAX_MEMBERS; i++)
		if (members[i].owed && members[i].owed <= now)
			say_exit_of(&members[i], false);
}

/* Close a member that was reaped: its pid may be used again. */
static void member_gone(struct member *m)
{
	member_ended(m);
	close_member(m);
}

void member_forget_pid(pid_t pid, int status)
{
	struct member *m = find(pid);

	if (!m)
		return;
	m->ended = true;
	m->exit_code = status;
	close_member(m);
}

static void visit(pid_t pid, const struct member *parent, int depth);

static void visit_list(int fd, const struct member *parent, int depth)
{
	char text[4096];
	off_t at = 0;
	ssize_t got;
	pid_t pid = 0;

	/* The kernel fills at most a page a read, and a thousand children are more than that. */
	while ((got = pread(fd, text, sizeof(text), at)) > 0) {
		at += got;
		for (ssize_t i = 0; i < got; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				pid = pid * 10 + (text[i] - '0');
			} else if (pid) {
				visit(pid, parent, depth);
				pid = 0;
			}
		}
	}
}

struct thread_of {
	struct member *m;
	int depth;
};

static void visit_thread(pid_t tid, void *with)
{
	const struct thread_of *of = with;
	int fd = tid == of->m->pid ? -1 : open_of(of->m->pid, tid, "children");

	if (fd < 0)
		return;
	visit_list(fd, of->m, of->depth + 1);
	close(fd);
}

/* /proc/PID/task/TID/children lists only the children that this thread created. */
static void visit_threads(struct member *m, int depth)
{
	char tasks[64] = "/proc/";

	/* The children of a first thread that has ended are another thread's (find_new_reaper() of kernel/exit.c). */
	if (!m->first_ended && !threads_may_have_children(m->pid))
		return;
	if (m->threads > m->visited_threads) {
		if (!may_take((size_t)(m->threads - m->visited_threads) * THREAD_BYTES)) {
			members_unwatched++;
			return;
		}
		m->visited_threads = m->threads;
	}
	strcpy(append_number(tasks + 6, m->pid), "/task");
	each_number(tasks, visit_thread, &(struct thread_of){ m, depth });
}

static void visit(pid_t pid, const struct member *parent, int depth)
{
	struct member *m = may_be_watched(pid) ? find(pid) : NULL;

	if (depth > 32)
		return;
	if (m && !read_stat(m)) {
		member_gone(m);
		free_slots++;
		m = NULL;
	}
	if (!m && parent && free_slots <= 0) {
		/* It belongs to its parent's program or to another one, and no slot is free for it: only count it. */
		members_unwatched++;
		return;
	}
	if (!m)
		m = meet(pid, parent);
	if (!m)
		return;
	m->fresh = true;
	if (m->state == 'Z')
		member_ended(m);
	if (m->children_fd >= 0)
		visit_list(m->children_fd, m, depth + 1);
	if (m->threads > 1)
		visit_threads(m, depth);
}

static void visit_process(pid_t pid, void *unused)
{
	(void)unused;
	if (pid != getpid())
		visit(pid, NULL, 0);
}

void members_refresh(void)
{
	static int own_children = -2;

	if (own_children == -2)
		own_children = open_file("/proc/thread-self/children", O_RDONLY);
	members_unwatched = 0;
	free_slots = 0;
	memset(filter, 0, sizeof(filter));
	for (int i = 0; i < MAX_MEMBERS; i++) {
		members[i].fresh = false;
		/* The parent of a process that has ended may have reaped it since: another one may have its slot now. */
		if (members[i].pid && members[i].ended && members[i].stat_fd >= 0 && !read_stat(&members[i]))
			close_member(&members[i]);
		if (members[i].stat_fd < 0 || !members[i].pid)
			free_slots++;
		else
			note_pid(members[i].pid);
	}
	if (own_children >= 0)
		visit_list(own_children, NULL, 0);
	else
		each_number("/proc", visit_process, NULL);	/* a kernel without CONFIG_PROC_CHILDREN */
	for (int i = 0; i < MAX_MEMBERS; i++)
		if (members[i].pid && members[i].stat_fd >= 0 && !members[i].fresh)
			member_gone(&members[i]);
}

/* Iterate over the live members with that comm (NULL: any). */
struct member *member_of(const struct program *program, const char *comm, struct member *after)
{
	for (struct member *m = after ? after + 1 : members; m < members + MAX_MEMBERS; m++)
		if (m->pid && !m->ended && m->program == program && (!comm || strcmp(m->comm, comm) == 0))
			return m;
	return NULL;
}

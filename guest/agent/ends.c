// SPDX-License-Identifier: MIT
/*
 * The kernel's own word on forks and ends: its process events connector (drivers/connector/cn_proc.c,
 * CONFIG_PROC_EVENTS). A process that its parent reaps at once, or that is reaped without a wait (SIGCHLD ignored), has
 * left /proc before the agent can look there, and of more than MAX_MEMBERS processes some are never watched. So the
 * agent follows who forked whom, and records the failing ends that it does not learn of otherwise.
 *
 * Each CPU numbers its events before it allocates memory for them (send_msg()), so a lost event leaves a gap. Memory is
 * asked for with GFP_NOWAIT: at an OOM events are lost. What was lost need not matter, because threads have events too.
 * So the end record tells how many forks were lost, which the kernel also counts by its tracepoint task_newtask
 * (copy_process() of kernel/fork.c reaches it right after it has sent the event). If none was, each process is known, and
 * of one that is gone without an event the end is recorded as not known.
 *
 * Before Linux 6.6 the kernel counts who listens, and any program with CAP_NET_ADMIN may lower the count: at 0 the events
 * end. The agent counts LISTENS times, so that a program that only listens, and stops to, cannot end them. From 6.6 on
 * each socket counts once, and can only be taken off by itself (cn_proc_mcast_ctl()).
 */
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

enum { CPUS = 64, LISTENS = 64, MOST_SAID = 1000, REAPED = 64, QUEUE_BYTES = 1024 * 1024, KTHREADD = 2, PROBES = 20, KINDS = 16 };

struct message {
	struct nlmsghdr header;
	struct cn_msg cn;
	union {
		struct proc_event event;
		enum proc_cn_mcast_op op;
	};
} __attribute__((packed));

static int fd = -1;
static struct { bool known; uint32_t next; } sequence[CPUS];
static pid_t reaped[REAPED];	/* by the agent, before the kernel's event of their end came */
static unsigned int reaped_at;
static int said;
static int64_t lost, left_out, controls;
static struct { const struct program *program; char comm[COMM_BYTES]; int64_t count; } kind[KINDS];	/* of those left out */
static int kinds;
static bool probed;		/* the event of the agent's own prctl(2) came */
static struct everywhere newtasks;	/* processes that were made, of the kernel's own count */
static int64_t forks;		/* those of which the event came */

int ends_fd(void)
{
	return fd;
}

/* The processes that the agent starts: program is NULL for one that belongs to no program (a shell for the user). */
void ends_own(pid_t pid, const struct program *program)
{
	if (fd >= 0)
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

	return fd >= 0 && (!life || life->owner != OF_NO_PROGRAM);
}

/* The agent reaps it. Returns whether its end is not recorded yet: it may have been a zombie before it was an orphan. */
bool ends_reaped(pid_t pid)
{
	const struct life *life = life_of(pid);

	if (fd >= 0 && (!life || !life->ended))
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
static struct life *meet(pid_t pid)
{
	struct member probe = { .pid = pid, .stat_fd = -1 };

	if (read_stat(&probe))
		return new_life(pid, owner_index(program_of_session(probe.sid)), probe.comm);
	return new_life(pid, OF_NOBODY_KNOWN, "");
}

/* Return whether there is room to follow the child. */
static bool forked(pid_t parent, pid_t child)
{
	struct life *known = life_of(parent), *own = life_of(child);

	if (parent == getpid() && own && !own->ended)
		return true;	/* ends_own() has it */
	if (parent == KTHREADD)
		return new_life(child, OF_NO_PROGRAM, "");
	if (!known || parent == getpid())
		return meet(child);
	/* Another child of the agent was forked by a program (CLONE_PARENT), and does not come here. */
	own = new_life(child, known->owner, known->comm);
	share_vm(known, own);
	return own;
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

static void count(uint32_t cpu, uint32_t number)
{
	if (cpu >= CPUS)
		return;
	if (sequence[cpu].known)
		lost += number - sequence[cpu].next;
	sequence[cpu].known = true;
	sequence[cpu].next = number + 1;
}

static bool take(const struct message *message)
{
	const struct proc_event event = message->event;	/* which is not aligned there */
	pid_t parent = event.event_data.fork.parent_tgid, child = event.event_data.fork.child_tgid;

	count(event.cpu, message->cn.seq);
	switch ((unsigned int)event.what) {
	case PROC_EVENT_NONE:
		controls++;	/* the answer to PROC_CN_MCAST_LISTEN or _IGNORE, whoever said it */
		return false;
	case PROC_EVENT_FORK:
		if (event.event_data.fork.child_pid == child)
			forks += forked(parent, child);
		return false;
	case PROC_EVENT_EXEC:
		executed(event.event_data.exec.process_tgid);
		return false;
	case PROC_EVENT_COMM:
		if (event.event_data.comm.process_pid == getpid())
			probed = true;
		else if (event.event_data.comm.process_pid == event.event_data.comm.process_tgid)
			renamed(event.event_data.comm.process_pid, event.event_data.comm.comm);
		return false;
	case PROC_EVENT_EXIT:
		return ended(&event.event_data.exit);
	}
	return false;
}

/* Take in what the kernel has said. Returns whether a step of the plan may have waited for it. */
bool ends_readable(void)
{
	struct message message;
	bool any = false;

	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t length = sizeof(from);
		ssize_t got = recvfrom(fd, &message, sizeof(message), MSG_DONTWAIT, (struct sockaddr *)&from, &length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ENOBUFS) {
			lost++;
			continue;
		}
		if (got < 0)
			return any;
		/* nl_pid is 0 for the kernel: a program with CAP_NET_ADMIN may send to the group too. */
		if (got >= (ssize_t)(sizeof(message.header) + sizeof(message.cn) + sizeof(uint64_t)) && from.nl_pid == 0 &&
		    message.cn.id.idx == CN_IDX_PROC && message.cn.id.val == CN_VAL_PROC)
			any = take(&message) || any;
	}
}

/* To be called while tracefs is open. */
void prepare_ends(void)
{
	/* The filter's number is CLONE_THREAD: its forks make no process. */
	count_everywhere(&newtasks, tracepoint_id("task/task_newtask"), "!(clone_flags & 0x10000)");
}

static bool listen_to_kernel(void)
{
	const struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
	const int queue = QUEUE_BYTES;
	struct message message = { 0 };
	size_t length = sizeof(message.header) + sizeof(message.cn) + sizeof(message.op);

	message.header.nlmsg_len = (uint32_t)length;
	message.header.nlmsg_type = NLMSG_DONE;
	message.cn.id.idx = CN_IDX_PROC;
	message.cn.id.val = CN_VAL_PROC;
	message.cn.len = sizeof(message.op);
	message.op = PROC_CN_MCAST_LISTEN;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof(queue));
	if (bind(fd, (const struct sockaddr *)&group, sizeof(group)))
		return false;
	for (int i = 0; i < LISTENS; i++) {
		if (send(fd, &message, length, 0) != (ssize_t)length)
			return false;
		ends_readable();
	}
	return controls == LISTENS;	/* else nobody answers: a kernel without CONFIG_PROC_EVENTS */
}

static void of_no_program(pid_t pid, struct member *unused, int depth)
{
	(void)unused;
	(void)depth;
	new_life(pid, OF_NO_PROGRAM, "");
}

/* To be called before the agent starts any process: those that exist by then are the kernel's threads. */
void ends_open(void)
{
	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
	if (fd < 0)
		return;
	each_number("/proc", of_no_program, NULL, 0);
	if (listen_to_kernel()) {
		controls = 0;
		forks = count_of_all(&newtasks);
		return;
	}
	close(fd);
	fd = -1;
}

/* Of a process that is gone, and of whose end no event came. Its pid may have a new process since: then that is known. */
static void say_unknown_end(struct life *life)
{
	const struct program *program = owner_of(life);

	if (life->ended || life->said || life->owner == OF_NO_PROGRAM || kill(life->pid, 0) == 0 || errno != ESRCH)
		return;
	life->ended = life->said = true;
	rec_begin("exit");
	rec_str("program", program ? program->name : "");
	rec_str("comm", life->comm);
	rec_int("pid", life->pid);
	rec_null("code");
	rec_null("maxrss_kb");
	say_shared_vm(life->pid);
	rec_end();
}

/* Make the kernel tell of the agent itself, so that the last gap shows, and whether its events still come. */
void ends_probe(void)
{
	const struct timespec pause = { .tv_nsec = NSEC / 1000 };
	char name[COMM_BYTES];

	if (fd < 0)
		return;
	prctl(PR_GET_NAME, name);
	probed = false;
	/* Of an event that is lost for want of memory only a later one tells. */
	for (int i = 0; i < PROBES && !probed; i++) {
		if (i)
			nanosleep(&pause, NULL);
		prctl(PR_SET_NAME, name);
		ends_readable();
	}
	if (lost)
		each_life(say_unknown_end);
}

/*
 * Into the record `end`. The kernel answers each message that turns its events on or off, to all who listen: as many as
 * the agent has sent may have turned them off and on again.
 */
void say_ends(void)
{
	int64_t made = count_of_all(&newtasks);

	if (fd < 0)
		return;
	rec_int("ends_lost", lost);
	if (newtasks.whole)
		rec_int("forks_lost", made > forks ? made - forks : 0);
	else
		rec_null("forks_lost");
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
	rec_bool("ends_meddled", controls >= LISTENS);
	rec_bool("ends_silent", !probed);
}

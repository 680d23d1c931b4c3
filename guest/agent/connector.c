// SPDX-License-Identifier: MIT
/*
 * How the kernel tells of forks and ends: its process events connector (drivers/connector/cn_proc.c,
 * CONFIG_PROC_EVENTS), and what tells whether anything is missing. ends.c has what the events mean.
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
 *
 * The event of a fork names the thread that forked. Of a process with thousands of threads those that have children need
 * not be looked for, which would take 2 kB of inodes and dentries of /proc for each.
 */
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

enum { CPUS = 64, LISTENS = 64, QUEUE_BYTES = 1024 * 1024, PROBES = 20, FORKER_BITS = 4096 };

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
static int64_t lost, controls;
static bool probed;		/* the event of the agent's own prctl(2) came */
static struct everywhere newtasks;	/* processes that were made, of the kernel's own count */
static int64_t forks;		/* those of which the event came */
/* A bit for each process of which a thread other than the first has forked, by the last 12 bits of its pid. */
static uint64_t forkers[FORKER_BITS / 64];

int ends_fd(void)
{
	return fd;
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
	pid_t thread = event.event_data.fork.parent_pid;

	count(event.cpu, message->cn.seq);
	switch ((unsigned int)event.what) {
	case PROC_EVENT_NONE:
		controls++;	/* the answer to PROC_CN_MCAST_LISTEN or _IGNORE, whoever said it */
		return false;
	case PROC_EVENT_FORK:
		if (event.event_data.fork.child_pid == child) {
			forks++;
			if (thread != parent)
				forkers[(uint32_t)parent % FORKER_BITS / 64] |= 1ULL << (uint32_t)parent % 64;
			ends_forked(parent, thread, child);
		}
		return false;
	case PROC_EVENT_COMM:
		if (event.event_data.comm.process_pid == getpid()) {
			probed = true;
			return false;
		}
	}
	return ends_take(&event);
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

/* Return how many forks there were of which no event came: it was lost, or is not read yet. -1: not known. */
static int64_t forks_unseen(void)
{
	int64_t made = count_of_all(&newtasks);

	if (!newtasks.whole)
		return -1;
	return made > forks ? made - forks : 0;
}

/* Return whether a thread of that process other than the first may have children. */
bool threads_may_have_children(pid_t pid)
{
	return fd < 0 || forks_unseen() != 0 || (forkers[(uint32_t)pid % FORKER_BITS / 64] >> (uint32_t)pid % 64 & 1);
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

static void of_no_program(pid_t pid, void *unused)
{
	(void)unused;
	new_life(pid, OF_NO_PROGRAM, "");
}

/* To be called before the agent starts any process: those that exist by then are the kernel's threads. */
void ends_open(void)
{
	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
	if (fd < 0)
		return;
	if (lives_open())
		each_number("/proc", of_no_program, NULL);
	if (listen_to_kernel()) {
		controls = 0;
		forks = count_of_all(&newtasks);
		return;
	}
	close(fd);
	fd = -1;
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
	int64_t forks_lost = forks_unseen();

	if (fd < 0)
		return;
	rec_int("ends_lost", lost);
	if (forks_lost >= 0)
		rec_int("forks_lost", forks_lost);
	else
		rec_null("forks_lost");
	say_lives_left_out();
	say_left_out();
	rec_bool("ends_meddled", controls >= LISTENS);
	rec_bool("ends_silent", !probed);
}

// SPDX-License-Identifier: MIT
/* Processes that hold memory until the kernel, or the end of the check, kills them. */
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#include "board.h"
#include "holders.h"

enum { MOST = 8 };

#define HUGE (2 * MB)
#define PLENTY (16 * MB)

enum { BIND = 2 };	/* MPOL_BIND of include/uapi/linux/mempolicy.h */

static struct member {
	const char *name;
	pid_t pid;
	bool killed;
} members[MOST];
static int count;

void tell_holder(const char *name, pid_t pid)
{
	char path[64], *text;
	long rss;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	rss = number_in(path, "VmRSS");
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	text = slurp(path);
	tell("rss.%s=%ld adj.%s=%ld", name, rss, name, text ? strtol(text, NULL, 10) : -1);
}

void follow(const char *name, pid_t pid)
{
	if (count == MOST)
		usage_error("more than %d processes", MOST);
	members[count++] = (struct member){ name, pid, false };
}

static void bind_to_node(int node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_set_mempolicy, BIND, &mask, sizeof(mask) * 8))
		_exit(EXIT_REFUSED);
}

/* Report the node to which this process's memory policy binds it, or -1 for none. */
static void tell_node(const char *name)
{
	unsigned long masks[16] = { 0 };
	int mode;

	/* The kernel refuses a mask that is smaller than its own, of CONFIG_NODES_SHIFT (at most 10, on x86). */
	if (syscall(SYS_get_mempolicy, &mode, masks, sizeof(masks) * 8, NULL, 0))
		_exit(EXIT_REFUSED);
	tell("node.%s=%d", name, mode == BIND && masks[0] ? __builtin_ctzl(masks[0]) : ANY_NODE);
}

/*
 * Let the kernel take the next 2 MB as a huge page, if it finds one: in a guest that costs a third to a seventh of the
 * instructions that 512 page faults do. Only while plenty is free: the kernel fetches two at once, and the second waits
 * in a list of the CPU (__rmqueue_pcplist() of mm/page_alloc.c), where it counts neither as free nor as held.
 */
static void prefer_huge_page(char *at)
{
	struct sysinfo machine;

	/* EINVAL: a kernel without huge pages. */
	if (!sysinfo(&machine) && machine.freeram * machine.mem_unit > PLENTY && madvise(at, HUGE, MADV_HUGEPAGE) &&
	    errno != EINVAL)
		refused("madvise");
}

/* Map memory whose start a huge page may have. */
static char *map_aligned(long bytes)
{
	uintptr_t at = (uintptr_t)map(bytes + HUGE, RW, ANON | MAP_NORESERVE);

	return (char *)((at + HUGE - 1) / HUGE * HUGE);
}

static void take(long bytes, bool page_by_page)
{
	char *at = map_aligned(bytes);

	for (long i = 0; i < bytes; i += HUGE) {
		if (!page_by_page && bytes - i >= HUGE)
			prefer_huge_page(at + i);
		touch(at + i, bytes - i < HUGE ? bytes - i : HUGE);
	}
}

static void take_more(bool page_by_page)
{
	const long most = 1024 * MB;
	char *at = map_aligned(most);

	now_ready();
	for (long i = 0; i < most && !board->stop; i += PAGE) {
		if (!page_by_page && i % HUGE == 0)
			prefer_huge_page(at + i);
		((volatile char *)at)[i] = 1;
		board->eaten = (i + PAGE) / KB;
		/* Pause, so that the check notices a kill before this process's next allocation causes another. */
		if (i % (256 * KB) == 0)
			sleep_for(1000000);
	}
}

/* A check may declare the condition "adj.NAME": its mutant gives the holder of that name another oom_score_adj. */
static int adj_of(const struct holder *holder)
{
	char name[32];

	snprintf(name, sizeof(name), "adj.%s", holder->name);
	if (!declared(name) || condition(name))
		return holder->adj;
	return holder->adj ? 0 : 500;
}

__attribute__((noreturn))
static void live(const struct holder *holder)
{
	char path[128], adj[16];

	take_role(holder->name);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(adj, sizeof(adj), "%d", adj_of(holder));
	if (spill("/proc/self/oom_score_adj", adj))
		_exit(EXIT_REFUSED);
	if (holder->group) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", holder->group);
		if (spill(path, "0"))
			_exit(EXIT_REFUSED);
	}
	if (holder->node >= 0)
		bind_to_node(holder->node);
	if (declared("mempolicy"))
		tell_node(holder->name);
	/* One node may be full while the machine has plenty. */
	if (holder->bytes == EAT || holder->bytes == EAT_PAGES) {
		take_more(holder->node >= 0 || holder->bytes == EAT_PAGES);
	} else {
		take(holder->bytes, holder->node >= 0);
		if (holder->also)
			holder->also();
		now_ready();
	}
	for (;;)
		pause();
}

pid_t start_holder(struct holder holder)
{
	int ready;
	pid_t pid;

	if (!board)
		open_board();
	/* A holder's orphans are reparented to the check, which sees their end. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		refused("prctl");
	ready = board->ready;
	pid = fork();
	if (pid == 0)
		live(&holder);
	if (pid < 0)
		refused("fork");
	follow(holder.name, pid);
	while (board->ready == ready) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			broken("%s-ended-before-it-held-its-memory", holder.name);
		wait_for_holders(INT64_MAX);
	}
	tell_holder(holder.name, pid);
	return pid;
}

pid_t hold(const char *name, long bytes, int adj, const char *group)
{
	return start_holder((struct holder){ name, bytes, adj, group, ANY_NODE, NULL });
}

pid_t eat(int adj, const char *group)
{
	return start_holder((struct holder){ "eater", EAT, adj, group, ANY_NODE, NULL });
}

/* Record which processes were killed since the last call; one that exited by itself does not count. */
static bool look_for_killed(char *killed, size_t size)
{
	bool any = false;

	for (int i = 0; i < count; i++) {
		int status;

		if (members[i].killed || waitpid(members[i].pid, &status, WNOHANG) != members[i].pid)
			continue;
		members[i].killed = true;
		if (!WIFSIGNALED(status))
			continue;
		any = true;
		snprintf(killed + strlen(killed), size - strlen(killed), "%s%s", killed[0] ? "," : "", members[i].name);
	}
	return any;
}

/* Watch for kills, at most for `most` ns, and report them as `fact`. */
static void watch(int64_t most, const char *fact)
{
	int64_t deadline = now() + most;
	char killed[128] = "";

	do {
		if (look_for_killed(killed, sizeof(killed)) && !board->stop) {
			board->stop = 1;
			deadline = now() + 200000000;
		}
	} while (wait_for_holders(deadline));
	tell("%s=%s eaten=%ld", fact, killed[0] ? killed : "nobody", board->eaten);
}

void wait_for_kill(void)
{
	watch(10000000000, "killed");
}

void expect_no_kill(void)
{
	watch(500000000, "killed");
}

void press_sysrq_f_as(const char *fact)
{
	needs("sysrq-trigger", spill("/proc/sysrq-trigger", "f"), ENOENT);
	/* SysRq f kills from a work queue (moom_callback() of drivers/tty/sysrq.c), so the kill comes later. */
	watch(500000000, fact);
}

void press_sysrq_f(void)
{
	press_sysrq_f_as("killed");
}

long half(void)
{
	return meminfo("MemAvailable") / 2 / 4 * 4 * KB;
}

void end_holders(void)
{
	for (int i = 0; i < count; i++)
		if (!members[i].killed) {
			kill(members[i].pid, SIGKILL);
			waitpid(members[i].pid, NULL, 0);
			members[i].killed = true;
		}
}

// SPDX-License-Identifier: MIT
/* Which process the OOM killer kills when the machine, or the nodes that a process may use, are out of memory. */
#include <sched.h>

#include "holders.h"

static void oom_largest(void)
{
	hold("large", condition("large") ? half() : 2 * MB, 0, NULL);
	hold("small", 8 * MB, 0, NULL);
	eat(-1000, NULL);
	wait_for_kill();
}

static void oom_adj_min(void)
{
	hold("large", half(), condition("adj") ? -1000 : 0, NULL);
	hold("small", 8 * MB, 0, NULL);
	eat(-1000, NULL);
	wait_for_kill();
}

static void oom_adj_max(void)
{
	hold("large", half(), 0, NULL);
	hold("small", 4 * MB, condition("adj") ? 1000 : 0, NULL);
	eat(-1000, NULL);
	wait_for_kill();
}

static void oom_allocating(void)
{
	given_vm("oom_kill_allocating_task", 1, 0);
	hold("large", (condition("large") ? meminfo("MemAvailable") * 6 / 10 / 4 * 4 : 8 * KB) * KB, 0, NULL);
	eat(0, NULL);
	wait_for_kill();
}

static void oom_dump_tasks(long value)
{
	given_vm("oom_dump_tasks", value, !value);
	hold("large", half(), 0, NULL);
	eat(-1000, NULL);
	wait_for_kill();
}

static void oom_dump_tasks_0(void)
{
	oom_dump_tasks(0);
}

static void oom_dump_tasks_1(void)
{
	oom_dump_tasks(1);
}

static void sysrq_f(void)
{
	hold("large", condition("large") ? 24 * MB : 2 * MB, 0, NULL);
	hold("small", 8 * MB, 0, NULL);
	tell("free=%ld", meminfo("MemFree"));
	if (condition("sysrq"))
		press_sysrq_f();
	else
		expect_no_kill();
}

static void oom_allocating_protected(void)
{
	given_vm("oom_kill_allocating_task", 1, 0);
	hold("large", meminfo("MemAvailable") * 6 / 10 / 4 * 4 * KB, 0, NULL);
	eat(condition("adj") ? -1000 : 0, NULL);
	wait_for_kill();
}

/* ---- processes that are never chosen ---- */

/* Give init and kthreadd the highest oom_score_adj: they must not be chosen even so. */
static void oom_init(void)
{
	const char *init = "/proc/1/oom_score_adj", *kthreadd = "/proc/2/oom_score_adj";

	hold("large", 24 * MB, 0, NULL);
	/* The control: a process like any other, which holds less than "large", is chosen with the highest oom_score_adj. */
	hold("ordinary", 4 * MB, 1000, NULL);
	press_sysrq_f_as("control_killed");
	if (condition("adj") && (spill(init, "1000") || spill(kthreadd, "1000")))
		refused("oom_score_adj");
	tell("adj.init=%ld", strtol(slurp(init), NULL, 10));
	tell("adj.kthreadd=%ld", strtol(slurp(kthreadd), NULL, 10));
	tell("score.kthreadd=%ld", strtol(slurp("/proc/2/oom_score"), NULL, 10));
	press_sysrq_f();
}

static char twin_stack[16 * 1024] __attribute__((aligned(16)));

__attribute__((noreturn))
static int twin(void *adj)
{
	/* No PR_SET_PDEATHSIG: it would kill the twin with its parent, whether they share an mm or not. */
	take_role("twin");
	if (adj && spill("/proc/self/oom_score_adj", adj))
		_exit(EXIT_REFUSED);
	give_pid(getpid());
	/* The parent that called vfork waits for this process's end. */
	if (adj)
		now_ready();
	for (;;)
		pause();
}

static void make_twin(void)
{
	int flags = (condition("vm") ? CLONE_VM : 0) | SIGCHLD;

	if (clone(twin, twin_stack + sizeof(twin_stack), flags, NULL) < 0)
		_exit(EXIT_REFUSED);
	while (!given_pid())
		sleep_for(1000000);
}

static void oom_sharers(void)
{
	start_holder((struct holder){ "large", 24 * MB, 0, NULL, ANY_NODE, make_twin });
	follow("twin", given_pid());
	hold("small", 8 * MB, 0, NULL);
	press_sysrq_f();
}

static void make_vfork_child(void)
{
	int flags = CLONE_VM | (condition("vfork") ? CLONE_VFORK : 0) | SIGCHLD;

	if (clone(twin, twin_stack + sizeof(twin_stack), flags, condition("adj.twin") ? "1000" : "0") < 0)
		_exit(EXIT_REFUSED);
	/* Reached by the mutant only. */
	while (!given_pid())
		sleep_for(1000000);
}

static void oom_vfork(void)
{
	hold("other", 24 * MB, 0, NULL);
	start_holder((struct holder){ "parent", 8 * MB, 0, NULL, ANY_NODE, make_vfork_child });
	follow("twin", given_pid());
	tell_holder("twin", given_pid());
	press_sysrq_f();
}

/* ---- two nodes ---- */

#define OTHER "/sys/fs/cgroup/verify-other"

static void second_node(void)
{
	needs("node1", access(SECOND_NODE, F_OK) ? errno : 0, ENOENT);
}

void oom_of_cpuset(void)
{
	second_node();
	make_group(GROUP);
	make_group(OTHER);
	set_group(OTHER, "cpuset.mems", condition("elsewhere") ? "0" : "0-1");
	hold("outside", 40 * MB, 0, OTHER);
	set_group(GROUP, "cpuset.mems", condition("cpuset") ? "1" : "0-1");
	hold("inside", 16 * MB, 0, GROUP);
	tell("free=%ld", meminfo("MemFree"));
	start_holder((struct holder){ "eater", condition("cpuset") ? EAT_PAGES : EAT, -1000, GROUP, ANY_NODE, NULL });
	wait_for_kill();
	remove_group(GROUP);
	remove_group(OTHER);
}

void oom_of_mempolicy(void)
{
	int node = condition("mempolicy") ? 1 : ANY_NODE;

	second_node();
	start_holder((struct holder){ "bound", 16 * MB, 0, NULL, node, NULL });
	start_holder((struct holder){ "eater", EAT, -1000, NULL, node, NULL });
	wait_for_kill();
}

const struct check oom_checks[] = {
	{ "oom-largest", oom_largest, "large adj.large adj.small", false },
	{ "oom-adj-min", oom_adj_min, "adj adj.small", false },
	{ "oom-adj-max", oom_adj_max, "adj adj.large", false },
	{ "oom-allocating", oom_allocating, "oom_kill_allocating_task large", false },
	{ "oom-dump-tasks-0", oom_dump_tasks_0, "oom_dump_tasks", false },
	{ "oom-dump-tasks-1", oom_dump_tasks_1, "oom_dump_tasks", false },
	{ "sysrq-f", sysrq_f, "large sysrq", false },
	{ "oom-allocating-protected", oom_allocating_protected, "oom_kill_allocating_task adj", false },
	{ "oom-init", oom_init, "adj", false },
	{ "oom-sharers", oom_sharers, "vm", false },
	{ "oom-vfork", oom_vfork, "vfork adj.twin adj.other", false },
	{ "cpuset-oom", oom_of_cpuset, "cpuset elsewhere", false },
	{ "mempolicy-oom", oom_of_mempolicy, "mempolicy", false },
	{ 0 },
};

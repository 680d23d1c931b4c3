// SPDX-License-Identifier: MIT
/* Whom the OOM killer kills when the machine, or what a process may allocate from, has no memory left. */
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
	hold("large", meminfo("MemAvailable") * 6 / 10 / 4 * 4 * KB, 0, NULL);
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
	long free_kb;
	int err;

	hold("large", condition("large") ? 24 * MB : 2 * MB, 0, NULL);
	hold("small", 8 * MB, 0, NULL);
	free_kb = meminfo("MemFree");
	err = spill("/proc/sysrq-trigger", "f");
	if (err)
		not_applicable(err);
	tell("free=%ld", free_kb);
	wait_for_kill();
}

/* ---- two nodes ---- */

#define OTHER "/sys/fs/cgroup/verify-other"

static void second_node(void)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		not_applicable(errno);
}

void oom_of_cpuset(void)
{
	second_node();
	make_group(GROUP);
	make_group(OTHER);
	set_group(OTHER, "cpuset.mems", "0");
	hold("outside", 40 * MB, 0, OTHER);
	set_group(GROUP, "cpuset.mems", condition("cpuset") ? "1" : "0-1");
	hold("inside", 16 * MB, 0, GROUP);
	tell("free=%ld", meminfo("MemFree"));
	eat(-1000, GROUP);
	wait_for_kill();
	remove_group(GROUP);
	remove_group(OTHER);
}

void oom_of_mempolicy(void)
{
	int node = condition("mempolicy") ? 1 : ANY_NODE;

	second_node();
	start_holder((struct holder){ "bound", 16 * MB, 0, NULL, 1 });
	start_holder((struct holder){ "eater", EAT, -1000, NULL, node });
	wait_for_kill();
}

const struct check oom_checks[] = {
	{ "oom-largest", oom_largest, "large", false },
	{ "oom-adj-min", oom_adj_min, "adj", false },
	{ "oom-adj-max", oom_adj_max, "adj", false },
	{ "oom-allocating", oom_allocating, "oom_kill_allocating_task", false },
	{ "oom-dump-tasks-0", oom_dump_tasks_0, "oom_dump_tasks", false },
	{ "oom-dump-tasks-1", oom_dump_tasks_1, "oom_dump_tasks", false },
	{ "sysrq-f", sysrq_f, "large", false },
	{ "cpuset-oom", oom_of_cpuset, "cpuset", false },
	{ "mempolicy-oom", oom_of_mempolicy, "mempolicy", false },
	{ 0 },
};

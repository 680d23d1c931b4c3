// SPDX-License-Identifier: MIT
/* What a memory cgroup's limits do, and which process its OOM kills. */
#include "holders.h"

static void limited(const char *max)
{
	make_group(GROUP);
	set_group(GROUP, "memory.max", condition("memory.max") ? max : "max");
}

static void memcg_limit(void)
{
	limited("20M");
	hold("outside", condition("outside") ? 30 * MB : 2 * MB, 0, NULL);
	tell("free=%ld", meminfo("MemFree"));
	eat(0, GROUP);
	wait_for_kill();
	remove_group(GROUP);
}

static void memcg_largest(void)
{
	limited("24M");
	hold("large", condition("large") ? 10 * MB : 1 * MB, 0, GROUP);
	hold("small", 3 * MB, 0, GROUP);
	eat(-1000, GROUP);
	wait_for_kill();
	remove_group(GROUP);
}

/* The same as memcg_largest() with oom_score_adj, which moves the kill to the small one. */
static void memcg_adj(void)
{
	limited("24M");
	hold("large", 10 * MB, 0, GROUP);
	hold("small", 3 * MB, condition("adj") ? 1000 : 0, GROUP);
	eat(-1000, GROUP);
	wait_for_kill();
	remove_group(GROUP);
}

static void memcg_events(void)
{
	long oom, kills, max;

	limited("20M");
	hold("below", 4 * MB, 0, GROUP);
	oom = group_event("oom");
	kills = group_event("oom_kill");
	max = group_event("max");
	/* The control: a cgroup below its limit has none of these events. */
	tell("control_oom=%ld control_oom_kill=%ld control_max=%ld", oom, kills, max);
	eat(0, GROUP);
	wait_for_kill();
	tell("oom=%ld oom_kill=%ld max=%ld", group_event("oom") - oom, group_event("oom_kill") - kills,
	     group_event("max") - max);
	remove_group(GROUP);
}

static void grouped(const char *group, const char *otherwise, int adj)
{
	limited("24M");
	set_group(GROUP, "memory.oom.group", condition("memory.oom.group") ? group : otherwise);
	hold("outside", condition("outside") ? 40 * MB : 2 * MB, 0, NULL);
	hold("first", 6 * MB, 0, GROUP);
	hold("second", 4 * MB, adj, GROUP);
	eat(0, GROUP);
	wait_for_kill();
	tell("oom_kill=%ld", group_event("oom_kill"));
	remove_group(GROUP);
}

static void memcg_group(void)
{
	grouped("1", "0", 0);
}

static void memcg_one(void)
{
	grouped("0", "1", 0);
}

static void memcg_group_protected(void)
{
	grouped("1", "0", condition("adj") ? -1000 : 0);
}

static void memcg_allocating(void)
{
	given_vm("oom_kill_allocating_task", 1, 0);
	limited("24M");
	hold("large", condition("large") ? 16 * MB : 4 * MB, 0, GROUP);
	eat(0, GROUP);
	wait_for_kill();
	remove_group(GROUP);
}

/* ---- limits of the parent, of a child and of a sibling ---- */

#define CHILD_A GROUP "/a"
#define CHILD_B GROUP "/b"

static void with_children(void)
{
	make_group(GROUP);
	/* The group is a parent from here on: enable the memory controller for its children. */
	needs("subtree_control", spill(GROUP "/cgroup.subtree_control", "+memory"), EINVAL);
	make_group(CHILD_A);
	make_group(CHILD_B);
}

static void remove_children(void)
{
	remove_group(CHILD_A);
	remove_group(CHILD_B);
	remove_group(GROUP);
}

static void memcg_ancestor(void)
{
	with_children();
	set_group(condition("ancestor") ? GROUP : CHILD_B, "memory.max", condition("memory.max") ? "24M" : "max");
	hold("sibling", 14 * MB, 0, CHILD_A);
	eat(0, CHILD_B);
	wait_for_kill();
	remove_children();
}

static const char *timed;	/* the fact that take_18_mb() reports */

static void take_18_mb(void)
{
	struct timespec from, to;
	char *at = map(18 * MB, RW, ANON);

	clock_gettime(CLOCK_MONOTONIC, &from);
	touch(at, 18 * MB);
	clock_gettime(CLOCK_MONOTONIC, &to);
	tell("%s=%ld", timed, (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000);
}

static void memcg_high(void)
{
	/* The control: the same process in the same cgroup without memory.high. */
	make_group(GROUP);
	timed = "control_milliseconds";
	start_holder((struct holder){ "unlimited", 64 * KB, 0, GROUP, ANY_NODE, take_18_mb });
	tell("control_high=%ld", group_event("high"));
	remove_group(GROUP);
	make_group(GROUP);
	set_group(GROUP, "memory.high", condition("memory.high") ? "16M" : "max");
	timed = "milliseconds";
	start_holder((struct holder){ "holder", 64 * KB, 0, GROUP, ANY_NODE, take_18_mb });
	tell("high=%ld oom_kill=%ld current=%ld", group_event("high"), group_event("oom_kill"),
	     strtol(slurp(GROUP "/memory.current"), NULL, 10) / KB);
	remove_group(GROUP);
}

static void memcg_shrink(void)
{
	make_group(GROUP);
	hold("inside", 20 * MB, 0, GROUP);
	hold("outside", 30 * MB, 0, NULL);
	tell("before=%ld", strtol(slurp(GROUP "/memory.current"), NULL, 10) / KB);
	set_group(GROUP, "memory.max", "32M");
	tell("control_oom_kill=%ld", group_event("oom_kill"));
	set_group(GROUP, "memory.max", condition("below") ? "8M" : "32M");
	wait_for_kill();
	remove_group(GROUP);
}

static void memcg_swap_max(void)
{
	bool swap = condition("swap");
	char path[64];

	/* The control: the same limit without memory.swap.max. What does not fit is swapped out, and nobody is killed. */
	limited("20M");
	snprintf(path, sizeof(path), "/proc/%d/status", hold("swapped", 30 * MB, 0, GROUP));
	tell("control_swapped=%ld control_oom_kill=%ld", number_in(path, "VmSwap"), group_event("oom_kill"));
	remove_group(GROUP);
	limited("20M");
	set_group(GROUP, "memory.swap.max", condition("memory.swap.max") ? "0" : "max");
	if (!swap)
		swap_off();
	tell("swap_free=%ld", meminfo("SwapFree"));
	eat(0, GROUP);
	wait_for_kill();
	remove_group(GROUP);
}

/* Fill the group with pages that belong to no process until a write is refused. Returns the errno of the refusal. */
static int fill_with_memfd(void)
{
	static char block[64 * 1024];
	int fd = memfd_create("verify", MFD_CLOEXEC);

	for (int i = 0; i < 1024; i++)
		if (write(fd, block, sizeof(block)) < 0)
			return errno;
	return 0;
}

static int way_out = -1;

static void enter(const char *max)
{
	const char *adj = condition("adj") ? "-1000" : "0", *path = "/proc/self/oom_score_adj";

	way_out = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY | O_CLOEXEC);
	make_group(GROUP);
	set_group(GROUP, "memory.max", condition("memory.max") ? max : "max");
	needs("oom_score_adj", spill(path, adj), ENOENT);
	tell("adj.self=%ld", strtol(slurp(path) ?: "", NULL, 10));
	if (spill(GROUP "/cgroup.procs", "0"))
		refused("cgroup.procs");
}

/* A process inside a full group cannot open a file or print: open files and a pipe's pages are charged to it too. */
static void leave(void)
{
	if (write(way_out, "0", 1) < 0)
		refused("cgroup.procs");
	close(way_out);
}

static void memcg_protected(void)
{
	long free_kb = meminfo("MemFree");
	int err;

	enter("8M");
	err = fill_with_memfd();
	leave();
	tell("errno=%d oom=%ld oom_kill=%ld free=%ld", err, group_event("oom"), group_event("oom_kill"), free_kb);
	remove_group(GROUP);
}

static void memcg_fork(void)
{
	long free_kb = meminfo("MemFree");
	int write_err, before, err = 0;
	pid_t pid;

	enter("8M");
	/* The control: in the same cgroup while it is not full. */
	before = try_fork();
	write_err = fill_with_memfd();
	for (int i = 0; i < 64 && !err; i++) {
		pid = fork();
		if (pid == 0)
			for (;;)
				pause();
		if (pid < 0)
			err = errno;
	}
	leave();
	tell("control_before=%d write=%d errno=%d", before, write_err, err);
	tell("oom_kill=%ld free=%ld", group_event("oom_kill"), free_kb);
}

const struct check memcg_checks[] = {
	{ "memcg-limit", memcg_limit, "memory.max outside", false },
	{ "memcg-largest", memcg_largest, "memory.max large", false },
	{ "memcg-adj", memcg_adj, "memory.max adj adj.large", false },
	{ "memcg-events", memcg_events, "memory.max", false },
	{ "memcg-group", memcg_group, "memory.max memory.oom.group adj.second outside", false },
	{ "memcg-one", memcg_one, "memory.max memory.oom.group adj.second outside", false },
	{ "memcg-group-protected", memcg_group_protected, "memory.max memory.oom.group adj outside", false },
	{ "memcg-allocating", memcg_allocating, "oom_kill_allocating_task memory.max large", false },
	{ "memcg-ancestor", memcg_ancestor, "ancestor memory.max", false },
	{ "memcg-high", memcg_high, "memory.high", false },
	{ "memcg-shrink", memcg_shrink, "below", false },
	{ "memcg-swap-max", memcg_swap_max, "memory.swap.max memory.max swap", false },
	{ "memcg-protected", memcg_protected, "adj memory.max", false },
	{ "memcg-fork", memcg_fork, "adj memory.max", false },
	{ 0 },
};

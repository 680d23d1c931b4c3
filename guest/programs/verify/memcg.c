// SPDX-License-Identifier: MIT
/* What a memory cgroup's limits do, and whom its OOM kills. */
#include "holders.h"

static void limited(const char *max)
{
	make_group(GROUP);
	set_group(GROUP, "memory.max", condition("memory.max") ? max : "max");
}

static void memcg_limit(void)
{
	limited("20M");
	hold("outside", 40 * MB, 0, NULL);
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

static void memcg_events(void)
{
	long oom, kills, max;

	limited("20M");
	oom = group_event("oom");
	kills = group_event("oom_kill");
	max = group_event("max");
	eat(0, GROUP);
	wait_for_kill();
	tell("oom=%ld oom_kill=%ld max=%ld", group_event("oom") - oom, group_event("oom_kill") - kills,
	     group_event("max") - max);
	remove_group(GROUP);
}

static void grouped(int adj)
{
	limited("24M");
	set_group(GROUP, "memory.oom.group", condition("memory.oom.group") ? "1" : "0");
	hold("outside", 40 * MB, 0, NULL);
	hold("first", 6 * MB, 0, GROUP);
	hold("second", 4 * MB, adj, GROUP);
	eat(0, GROUP);
	wait_for_kill();
	tell("oom_kill=%ld", group_event("oom_kill"));
	remove_group(GROUP);
}

static void memcg_group(void)
{
	grouped(0);
}

static void memcg_group_protected(void)
{
	grouped(condition("adj") ? -1000 : 0);
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

const struct check memcg_checks[] = {
	{ "memcg-limit", memcg_limit, "memory.max", false },
	{ "memcg-largest", memcg_largest, "memory.max large", false },
	{ "memcg-events", memcg_events, "memory.max", false },
	{ "memcg-group", memcg_group, "memory.max memory.oom.group", false },
	{ "memcg-group-protected", memcg_group_protected, "memory.max memory.oom.group adj", false },
	{ "memcg-allocating", memcg_allocating, "oom_kill_allocating_task memory.max large", false },
	{ 0 },
};

// SPDX-License-Identifier: MIT
/* When the kernel panics instead of killing, and when it does not. */
#include "holders.h"

static void memcg_oom(void)
{
	make_group(GROUP);
	set_group(GROUP, "memory.max", condition("memory.max") ? "20M" : "max");
	hold("outside", 40 * MB, 0, NULL);
	eat(0, GROUP);
	wait_for_kill();
	remove_group(GROUP);
}

static void panic_1_memcg(void)
{
	given_vm("panic_on_oom", 1, 2);
	memcg_oom();
}

static void panic_1_sysrq(void)
{
	given_vm("panic_on_oom", 1, 0);
	hold("large", 24 * MB, 0, NULL);
	hold("small", 8 * MB, 0, NULL);
	press_sysrq_f();
}

static void panic_1_cpuset(void)
{
	given_vm("panic_on_oom", 1, 2);
	oom_of_cpuset();
}

static void panic_1_mempolicy(void)
{
	given_vm("panic_on_oom", 1, 2);
	oom_of_mempolicy();
}

/* ---- checks that panic the kernel ---- */

static void panic_1_global(void)
{
	given_vm("panic_on_oom", 1, 0);
	hold("large", half(), 0, NULL);
	eat(0, NULL);
	wait_for_kill();
}

static void panic_2_memcg(void)
{
	given_vm("panic_on_oom", 2, 1);
	memcg_oom();
}

static void nobody_killable(void)
{
	hold("large", half(), condition("adj") ? -1000 : 0, NULL);
	eat(-1000, NULL);
	wait_for_kill();
}

const struct check panic_checks[] = {
	{ "panic-1-memcg", panic_1_memcg, "panic_on_oom memory.max", false },
	{ "panic-1-sysrq", panic_1_sysrq, "panic_on_oom", false },
	{ "panic-1-cpuset", panic_1_cpuset, "panic_on_oom cpuset elsewhere", false },
	{ "panic-1-mempolicy", panic_1_mempolicy, "panic_on_oom mempolicy", false },
	{ "panic-1-global", panic_1_global, "panic_on_oom", false },
	{ "panic-2-memcg", panic_2_memcg, "panic_on_oom memory.max", false },
	{ "nobody-killable", nobody_killable, "adj adj.eater", false },
	{ 0 },
};

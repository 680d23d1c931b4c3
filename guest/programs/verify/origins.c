// SPDX-License-Identifier: MIT
/* Processes that take memory on behalf of the kernel: they are killed first (oom_task_origin()). */
#include <sys/swap.h>

#include "holders.h"

/*
 * In a cgroup at its limit, and not in a machine that is full: there the killed process may fail to end before the
 * reaper is through with it (OOM_REAPER_DELAY, 2 s), because each page that swapoff reads ahead is looked for in vain
 * (swapin_readahead() of mm/swap_state.c). The next OOM then passes it over (MMF_OOM_SKIP) and kills the large
 * process, whose memory stays: swapoff holds its mm (try_to_unuse() of mm/swapfile.c). The one after that finds nobody,
 * and Linux panics.
 */

enum { ORIGINS_LIMIT = 24 };	/* MB */

static const char *swap_path;

static void limit_group(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%dM", ORIGINS_LIMIT);
	set_group(GROUP, "memory.max", condition("memory.max") ? text : "max");
}

/* The mutant does this instead: it exceeds the cgroup's limit as well, and is no OOM origin. */
static void take_too_much(void)
{
	touch(map(64 * MB, RW, ANON | MAP_NORESERVE), 64 * MB);
}

static void swapoff_here(void)
{
	now_ready();
	wait_to_go_on();
	if (condition("swapoff"))
		tell("swapoff=%d", swapoff(swap_path) ? errno : 0);
	else
		take_too_much();
	_exit(0);
}

static void swapoff_origin(void)
{
	char path[64];
	pid_t large;

	swap_path = swap_device();
	make_group(GROUP);
	limit_group();
	/* Room for the 12 MB of "large" that are swapped out, and 8 MB more: the mutant must not fill the whole device. */
	set_group(GROUP, "memory.swap.max", "20M");
	start_holder((struct holder){ "origin", 64 * KB, 0, GROUP, ANY_NODE, swapoff_here });
	large = hold("large", (condition("swapped") ? ORIGINS_LIMIT + 12 : ORIGINS_LIMIT - 12) * MB, 0, GROUP);
	snprintf(path, sizeof(path), "/proc/%d/status", large);
	tell("swapped=%ld free=%ld", number_in(path, "VmSwap"), meminfo("MemFree"));
	go_on();
	wait_for_kill();
	remove_group(GROUP);
}

#define KSM "/sys/kernel/mm/ksm/"

enum { EQUAL = 32 };	/* MB */

static long ksm(const char *name)
{
	char path[64], *text;

	snprintf(path, sizeof(path), KSM "%s", name);
	text = slurp(path);
	return text ? strtol(text, NULL, 10) : -1;
}

static void set_ksm(const char *name, const char *value)
{
	char path[64];

	snprintf(path, sizeof(path), KSM "%s", name);
	needs("ksm", spill(path, value), ENOENT);
}

static void hold_equal_pages(void)
{
	char *at = map(EQUAL * MB, RW, ANON);

	if (madvise(at, EQUAL * MB, MADV_MERGEABLE))
		_exit(EXIT_REFUSED);
	touch(at, EQUAL * MB);
}

static void unmerge_here(void)
{
	now_ready();
	wait_to_go_on();
	if (condition("unmerge"))
		tell("unmerge=%d", spill(KSM "run", "2"));
	else
		take_too_much();
	_exit(0);
}

static void ksm_origin(void)
{
	/* Pages that an earlier check merged count until they are separated, also after the end of their process. */
	set_ksm("run", "0");
	set_ksm("run", "2");
	set_ksm("pages_to_scan", "10000");
	set_ksm("sleep_millisecs", "0");
	make_group(GROUP);
	start_holder((struct holder){ "origin", 64 * KB, 0, GROUP, ANY_NODE, unmerge_here });
	start_holder((struct holder){ "equal", 64 * KB, 0, GROUP, ANY_NODE, hold_equal_pages });
	set_ksm("run", condition("merged") ? "1" : "0");
	for (int left = 500; left > 0 && ksm("pages_sharing") * PAGE < (EQUAL - 1) * MB; left--)
		sleep_for(10000000);
	set_ksm("run", "0");
	limit_group();
	hold("large", (ORIGINS_LIMIT - 12) * MB, 0, GROUP);
	tell("merged=%ld free=%ld", ksm("pages_sharing") * PAGE / KB, meminfo("MemFree"));
	go_on();
	wait_for_kill();
	remove_group(GROUP);
}

const struct check origins_checks[] = {
	{ "swapoff-origin", swapoff_origin, "swapoff swapped memory.max adj.origin adj.large", false },
	{ "ksm-origin", ksm_origin, "unmerge merged memory.max adj.origin adj.large", false },
	{ 0 },
};

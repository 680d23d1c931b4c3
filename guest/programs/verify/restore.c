// SPDX-License-Identifier: MIT
/* The settings that checks change: read before the first check, and put back after each, also after one that died. */
#include <sys/swap.h>

#include "verify.h"

/* Of /proc/sys/vm. */
static struct { const char *name; long value; } sysctls[] = {
	{ "overcommit_memory", 0 }, { "overcommit_ratio", 0 }, { "admin_reserve_kbytes", 0 },
	{ "user_reserve_kbytes", 0 }, { "max_map_count", 0 }, { "min_free_kbytes", 0 }, { "nr_hugepages", 0 },
	{ "oom_kill_allocating_task", 0 }, { "oom_dump_tasks", 0 }, { "panic_on_oom", 0 },
	{ "watermark_scale_factor", 0 },
};
#define SYSCTLS (sizeof(sysctls) / sizeof(sysctls[0]))

/* Other files, with the text that they had. */
static struct { const char *path; char text[160]; } files[] = {
	{ "/proc/sys/vm/lowmem_reserve_ratio", "" }, { "/proc/1/oom_score_adj", "" }, { "/proc/2/oom_score_adj", "" },
	{ "/sys/kernel/mm/ksm/run", "" }, { "/sys/kernel/mm/ksm/pages_to_scan", "" },
	{ "/sys/kernel/mm/ksm/sleep_millisecs", "" },
};
#define FILES (sizeof(files) / sizeof(files[0]))

static long overcommit_kbytes;	/* at the start; 0: overcommit_ratio is in use */
static char swap_at_start[128];	/* the path of the first swap device, or empty */

void save_settings(void)
{
	for (size_t i = 0; i < SYSCTLS; i++)
		sysctls[i].value = get_vm(sysctls[i].name);
	overcommit_kbytes = get_vm("overcommit_kbytes");
	for (size_t i = 0; i < FILES; i++)
		snprintf(files[i].text, sizeof(files[i].text), "%s", slurp(files[i].path) ?: "");
	snprintf(swap_at_start, sizeof(swap_at_start), "%s", find_swap() ?: "");
}

/* Turn the swap device on that was there at the start, if it is off. */
static void restore_swap(void)
{
	for (int left = 100; *swap_at_start; left--) {
		char *text = slurp("/proc/swaps");

		if ((text && strstr(text, swap_at_start)) || !swapon(swap_at_start, 0))
			return;
		/* EBUSY: a process that was killed in swapoff(2) has not left it yet. */
		if (errno != EBUSY || !left)
			refused("swapon");
		sleep_for(10000000);
	}
}

void restore_settings(void)
{
	for (size_t i = 0; i < SYSCTLS; i++)
		set_vm(sysctls[i].name, sysctls[i].value);
	/* Each of overcommit_ratio and overcommit_kbytes sets the other to 0: the one in use is set last. */
	if (overcommit_kbytes > 0)
		set_vm("overcommit_kbytes", overcommit_kbytes);
	for (size_t i = 0; i < FILES; i++)
		if (*files[i].text && spill(files[i].path, files[i].text))
			say("cannot put back: %s", files[i].path);
	restore_swap();
}

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
static struct swap swap_at_start;	/* the first swap device; its path may be empty */
static volatile int *zram;	/* shared with the checks: the number of the device that one made, or -1 */

void save_settings(void)
{
	for (size_t i = 0; i < SYSCTLS; i++)
		sysctls[i].value = get_vm(sysctls[i].name);
	overcommit_kbytes = get_vm("overcommit_kbytes");
	for (size_t i = 0; i < FILES; i++)
		snprintf(files[i].text, sizeof(files[i].text), "%s", slurp(files[i].path) ?: "");
	if (!find_swap(NULL, &swap_at_start))
		*swap_at_start.path = '\0';
	zram = (volatile int *)map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS);
	*zram = -1;
}

void made_zram(int number)
{
	*zram = number;
}

void remove_zram(void)
{
	char number[16];

	if (*zram < 0)
		return;
	snprintf(number, sizeof(number), "%d", *zram);
	/* EBUSY: a process that was killed has not closed it yet. */
	for (int left = 100; left > 0 && spill("/sys/class/zram-control/hot_remove", number) == EBUSY; left--)
		sleep_for(10000000);
	*zram = -1;
}

/* Turn the swap device on that was there at the start, if it is off. */
static void restore_swap(void)
{
	struct swap now;
	int err;

	for (int left = 100; *swap_at_start.path && !find_swap(swap_at_start.path, &now); left--) {
		err = turn_on(&swap_at_start);
		/* EBUSY: a process that was killed in swapoff(2) has not left it yet. */
		if (err && (err != EBUSY || !left)) {
			say("cannot put back: swap on %s: %s", swap_at_start.path, strerrorname_np(err));
			exit(EXIT_REFUSED);
		}
		if (err)
			sleep_for(10000000);
	}
}

static void restore_vm(const char *name, long value)
{
	/* -1: a kernel without it. */
	int err = value < 0 ? 0 : set_vm(name, value);

	if (err)
		say("cannot put back: vm.%s=%ld: %s", name, value, strerrorname_np(err));
}

void restore_settings(void)
{
	remove_groups_left_behind();
	remove_zram();
	for (size_t i = 0; i < SYSCTLS; i++)
		restore_vm(sysctls[i].name, sysctls[i].value);
	/* Each of overcommit_ratio and overcommit_kbytes sets the other to 0: the one in use is set last. */
	if (overcommit_kbytes > 0)
		restore_vm("overcommit_kbytes", overcommit_kbytes);
	for (size_t i = 0; i < FILES; i++) {
		int err = *files[i].text ? spill(files[i].path, files[i].text) : 0;

		if (err)
			say("cannot put back: %s: %s", files[i].path, strerrorname_np(err));
	}
	restore_swap();
}

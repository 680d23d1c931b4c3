// SPDX-License-Identifier: MIT
/* What the kernel refuses: the overcommit modes and CommitLimit. */
#include "verify.h"

/* ---- the modes ---- */

static void mode0_single(void)
{
	long total, swap, most;

	given_vm("overcommit_memory", 0, 1);
	total = meminfo("MemTotal");
	swap = meminfo("SwapTotal");
	most = largest(4 * (total + swap));
	tell("total=%ld swap=%ld largest=%ld errno=%d", total, swap, most, try_map((most + 4) * KB, RW, ANON));
}

static void mode0_swap(void)
{
	bool swap = condition("swap");

	require_vm("overcommit_memory", 0);
	swap_off();
	tell("control_total=%ld control_largest=%ld", meminfo("MemTotal"), largest(4 * meminfo("MemTotal")));
	if (swap)
		swap_on();
	mode0_single();
}

static void mode0_sum(void)
{
	long total = meminfo("MemTotal"), before = committed(), each = total * 3 / (condition("large") ? 4 : 8) / 4 * 4;
	int first, second;

	require_vm("overcommit_ratio", 100);
	given_vm("overcommit_memory", 0, 2);
	first = mmap(NULL, (size_t)(each * KB), RW, ANON, -1, 0) == MAP_FAILED ? errno : 0;
	second = mmap(NULL, (size_t)(each * KB), RW, ANON, -1, 0) == MAP_FAILED ? errno : 0;
	tell("total=%ld each=%ld first=%d second=%d charged=%ld", total, each, first, second, committed() - before);
}

static void mode1_any(void)
{
	long total = meminfo("MemTotal"), before = committed(), asked = condition("large") ? 64 * total : total / 8 * 4;
	int err;

	given_vm("overcommit_memory", 1, 0);
	err = try_map(asked * KB, RW, ANON);
	tell("total=%ld asked=%ld errno=%d left=%ld", total, asked, err, committed() - before);
}

static void mode2_single(void)
{
	long before, limit, most;

	strict();
	before = committed();
	limit = meminfo("CommitLimit");
	most = largest(4 * limit);
	tell("limit=%ld committed=%ld largest=%ld errno=%d", limit, before, most, try_map((most + 4) * KB, RW, ANON));
}

static void mode2_sum(void)
{
	long before, limit, half;
	int first, second;

	strict();
	before = committed();
	limit = meminfo("CommitLimit");
	half = (limit - before) * (condition("large") ? 6 : 3) / 10 / 4 * 4;
	first = mmap(NULL, (size_t)(half * KB), RW, ANON, -1, 0) == MAP_FAILED ? errno : 0;
	second = try_map(half * KB, RW, ANON);
	tell("limit=%ld committed=%ld each=%ld first=%d second=%d", limit, before, half, first, second);
}

static void mode2_within(void)
{
	long before, limit, most;
	int err, above;

	strict();
	before = committed();
	limit = meminfo("CommitLimit");
	most = (limit - before) * 9 / 10 / 4 * 4;
	above = try_map(2 * limit * KB, RW, ANON);
	err = mmap(NULL, (size_t)(most * KB), RW, ANON, -1, 0) == MAP_FAILED ? errno : 0;
	tell("limit=%ld asked=%ld errno=%d charged=%ld control_above=%d", limit, most, err, committed() - before, above);
}

static void mode_range(void)
{
	int above, below;

	require_vm("overcommit_memory", 2);
	require_vm("overcommit_memory", 0);
	below = set_vm("overcommit_memory", condition("negative") ? -1 : 0);
	tell("below=%d mode_below=%ld", below, get_vm("overcommit_memory"));
	above = set_vm("overcommit_memory", condition("value") ? 3 : 2);
	tell("above=%d mode=%ld", above, get_vm("overcommit_memory"));
	/* The control: the highest value that the kernel takes. */
	tell("control_highest=%d", set_vm("overcommit_memory", 2));
}

static void mode2_switch(void)
{
	long total = meminfo("MemTotal"), limit, now, size = (condition("above") ? 2 * total : 1024) * KB;
	volatile char *memory;
	int more, after, err;

	require_vm("overcommit_memory", 1);
	memory = map(size, RW, ANON);
	require_vm("overcommit_ratio", 80);
	require_vm("admin_reserve_kbytes", 0);
	require_vm("user_reserve_kbytes", 0);
	err = set_vm("overcommit_memory", condition("switch") ? 2 : 1);
	limit = meminfo("CommitLimit");
	now = committed();
	tell("errno=%d overcommit_memory=%ld limit=%ld committed=%ld", err, get_vm("overcommit_memory"), limit, now);
	memory[0] = 42;
	/* The evidence: the kernel reports that the page is resident, and its contents are right. */
	tell("wrote=%ld read=%d", resident((const void *)memory, PAGE), memory[0]);
	more = try_map(PAGE, RW, ANON);
	munmap((void *)memory, (size_t)size);
	after = try_map(PAGE, RW, ANON);
	tell("more=%d after=%d", more, after);
}

/* ---- CommitLimit ---- */

static void tell_limit(const char *sysctl)
{
	tell("total=%ld swap=%ld huge=%ld %s=%ld limit=%ld", meminfo("MemTotal"), meminfo("SwapTotal"),
	     meminfo("HugePages_Total") * meminfo("Hugepagesize"), sysctl, get_vm(sysctl), meminfo("CommitLimit"));
}

static void limit_ratio(void)
{
	static const long ratios[] = { 0, 37, 50, 100, 150 };

	tell("total=%ld swap=%ld", meminfo("MemTotal"), meminfo("SwapTotal"));
	for (int i = 0; i < 5; i++) {
		set_vm("overcommit_ratio", ratios[i] + (condition("ratio") ? 0 : 1));
		tell("ratio_%ld=%ld at_%ld=%ld", ratios[i], get_vm("overcommit_ratio"), ratios[i], meminfo("CommitLimit"));
	}
}

static void limit_kbytes(void)
{
	require_vm("overcommit_ratio", 50);
	tell("control_ratio=%ld", meminfo("CommitLimit"));
	if (condition("kbytes"))
		set_vm("overcommit_kbytes", 65536);
	tell_limit("overcommit_kbytes");
}

/* Set a sysctl of CommitLimit, and report the limit with swap and, as the control, without. */
static void with_swap(const char *sysctl, long value, long otherwise)
{
	bool swap = condition("swap");

	given_vm(sysctl, value, otherwise);
	swap_off();
	tell("control_limit=%ld", meminfo("CommitLimit"));
	if (swap)
		swap_on();
	tell_limit(sysctl);
}

static void limit_swap(void)
{
	with_swap("overcommit_ratio", 37, 50);
}

static void limit_kbytes_swap(void)
{
	with_swap("overcommit_kbytes", 65536, 32768);
}

static void limit_hugetlb(void)
{
	set_vm("overcommit_ratio", condition("ratio") ? 50 : 37);
	tell("control_limit=%ld", meminfo("CommitLimit"));
	if (condition("pool"))
		set_vm("nr_hugepages", 4);
	tell_limit("overcommit_ratio");
}

static void limit_kbytes_hugetlb(void)
{
	if (condition("kbytes"))
		set_vm("overcommit_kbytes", 65536);
	if (condition("pool"))
		set_vm("nr_hugepages", 4);
	tell_limit("overcommit_kbytes");
}

static void limit_exclusive(void)
{
	require_vm("overcommit_ratio", 50);
	if (condition("kbytes"))
		set_vm("overcommit_kbytes", 65536);
	tell("kbytes=%ld ratio_after_kbytes=%ld", get_vm("overcommit_kbytes"), get_vm("overcommit_ratio"));
	if (condition("ratio"))
		set_vm("overcommit_ratio", 50);
	tell("ratio=%ld kbytes_after_ratio=%ld", get_vm("overcommit_ratio"), get_vm("overcommit_kbytes"));
}

const struct check limits_checks[] = {
	{ "mode0-single", mode0_single, "overcommit_memory", false },
	{ "mode0-swap", mode0_swap, "overcommit_memory swap", false },
	{ "mode0-sum", mode0_sum, "overcommit_memory large", false },
	{ "mode1-any", mode1_any, "overcommit_memory large", false },
	{ "mode2-single", mode2_single, "overcommit_memory", false },
	{ "mode2-sum", mode2_sum, "overcommit_memory large", false },
	{ "mode2-within", mode2_within, "overcommit_memory", false },
	{ "mode-range", mode_range, "value negative", false },
	{ "mode2-switch", mode2_switch, "above switch", false },
	{ "limit-ratio", limit_ratio, "ratio", false },
	{ "limit-kbytes", limit_kbytes, "kbytes", false },
	{ "limit-swap", limit_swap, "overcommit_ratio swap", false },
	{ "limit-kbytes-swap", limit_kbytes_swap, "overcommit_kbytes swap", false },
	{ "limit-hugetlb", limit_hugetlb, "ratio pool", false },
	{ "limit-kbytes-hugetlb", limit_kbytes_hugetlb, "kbytes pool", false },
	{ "limit-exclusive", limit_exclusive, "kbytes ratio", false },
	{ 0 },
};

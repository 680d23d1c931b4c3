// SPDX-License-Identifier: MIT
/* A process's badness: /proc/PID/oom_score, and oom_score_adj. */
#include <sched.h>

#include "holders.h"

static long number_of_pid(pid_t pid, const char *file)
{
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	text = slurp(path);
	return text ? strtol(text, NULL, 10) : -1;
}

static void set_adj(const char *path, long adj)
{
	char text[16];

	snprintf(text, sizeof(text), "%ld", adj);
	needs("oom_score_adj", spill(path, text), ENOENT);
}

/* Report "NAME.score= .rss= .swap= .tables="; all but the score in kB. */
static void tell_score(const char *name, pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	tell("%s.rss=%ld %s.swap=%ld", name, number_in(path, "VmRSS"), name, number_in(path, "VmSwap"));
	tell("%s.tables=%ld %s.score=%ld", name, number_in(path, "VmPTE"), name, number_of_pid(pid, "oom_score"));
}

static void tell_total(void)
{
	tell("total=%ld", meminfo("MemTotal") + meminfo("SwapTotal"));
}

static void score_badness(void)
{
	tell_total();
	tell_score("large", hold("large", condition("large") ? 40 * MB : 4 * MB, 0, NULL));
	tell_score("small", hold("small", 4 * MB, 0, NULL));
}

static void score_swap(void)
{
	long more = condition("swapped") ? 24 * KB : -24 * KB;
	pid_t pid;

	tell_total();
	pid = hold("large", (meminfo("MemAvailable") + more) / 4 * 4 * KB, 0, NULL);
	/* The numbers are not read atomically, and kswapd may move pages to swap between two reads. */
	sleep_for(500000000);
	tell_score("large", pid);
}

enum { PTE_TABLES = 5 * 1024 };	/* of a page each: 20 MB */

/*
 * Read a page of each 2 MB that a page table maps. A read of a page that was never written maps the zero page, which
 * counts as no process's memory, so what the process holds are its page tables.
 */
static void read_sparsely(void)
{
	const long span = 2 * MB, step = condition("sparse") ? span : PAGE;
	volatile char *at = map(PTE_TABLES * span, PROT_READ, ANON | MAP_NORESERVE);

	/* A huge page needs no table of its own. EINVAL: the kernel has none. */
	if (madvise((void *)at, PTE_TABLES * span, MADV_NOHUGEPAGE) && errno != EINVAL)
		_exit(EXIT_REFUSED);
	for (long i = 0; i < PTE_TABLES; i++)
		(void)at[i * step];
}

static void score_tables(void)
{
	tell_total();
	tell_score("large", start_holder((struct holder){ "large", 64 * KB, 0, NULL, ANY_NODE, read_sparsely }));
}

static void score_adj(void)
{
	static const int values[] = { -1000, -999, -500, 0, 300, 1000 };
	pid_t pid = hold("holder", 40 * MB, 0, NULL);
	char path[64];

	tell_total();
	tell_score("holder", pid);
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		set_adj(path, condition("adj") ? values[i] : values[i] / 2 + 7);
		tell("adj_%d=%ld score_%d=%ld", values[i], number_of_pid(pid, "oom_score_adj"), values[i],
		     number_of_pid(pid, "oom_score"));
	}
}

/* The score of the small one is as many thousandths of all memory as make it the worse one, or too few. */
static void between(long factor)
{
	long total = meminfo("MemTotal") + meminfo("SwapTotal");

	tell_total();
	hold("large", 40 * MB, 0, NULL);
	hold("small", 8 * MB, (int)(32 * KB * 1000 / total * factor / 100), NULL);
	press_sysrq_f();
}

static void badness_between(void)
{
	between(condition("adj") ? 120 : 60);
}

static void badness_below(void)
{
	between(condition("adj") ? 80 : 120);
}

static void badness_negative(void)
{
	tell_total();
	hold("large", 40 * MB, condition("adj") ? -300 : 0, NULL);
	hold("small", 8 * MB, 0, NULL);
	press_sysrq_f();
}

/* ---- who may set oom_score_adj, and which processes share or inherit it ---- */

__attribute__((noreturn))
static int pause_here(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

static char stack[16 * 1024] __attribute__((aligned(16)));

static void adj_inherited(void)
{
	pid_t pid;
	long inherited;

	set_adj("/proc/self/oom_score_adj", condition("adj") ? 300 : 0);
	pid = fork();
	if (pid == 0)
		pause_here(NULL);
	if (pid < 0)
		refused("fork");
	inherited = number_of_pid(pid, "oom_score_adj");
	tell("adj=%ld child=%ld", number_of_pid(getpid(), "oom_score_adj"), inherited);
	set_adj("/proc/self/oom_score_adj", 500);
	tell("own_after=%ld child_after=%ld", number_of_pid(getpid(), "oom_score_adj"), number_of_pid(pid, "oom_score_adj"));
	kill(pid, SIGKILL);
}

/* Set a child's oom_score_adj, and report whose it is then. flags: of the clone. */
static void share_adj(const char *prefix, int flags)
{
	char path[64];
	long before;
	pid_t pid;

	set_adj("/proc/self/oom_score_adj", 100);
	before = number_of_pid(getpid(), "oom_score_adj");
	pid = clone(pause_here, stack + sizeof(stack), flags | SIGCHLD, NULL);
	if (pid < 0)
		refused("clone");
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	set_adj(path, 400);
	tell("%sbefore=%ld %sother=%ld %sown=%ld", prefix, before, prefix, number_of_pid(pid, "oom_score_adj"), prefix,
	     number_of_pid(getpid(), "oom_score_adj"));
	kill(pid, SIGKILL);
}

static void adj_shared(void)
{
	share_adj("", condition("vm") ? CLONE_VM : 0);
	/* The control: a child with memory of its own. */
	share_adj("control_", 0);
}

static void lower(void)
{
	const char *path = "/proc/self/oom_score_adj";
	int up, back, below;

	/* A process that changed its uid is not dumpable, and its /proc/self then belongs to root. Make it dumpable. */
	prctl(PR_SET_DUMPABLE, 1);
	up = spill(path, "200");
	back = spill(path, "100");
	below = spill(path, "99");
	tell("uid=%d up=%d back=%d below=%d adj=%ld", (int)getuid(), up, back, below,
	     number_of_pid(getpid(), "oom_score_adj"));
}

static void adj_lower(void)
{
	/* A write with CAP_SYS_RESOURCE sets oom_score_adj_min, below which a process without it may not go. */
	set_adj("/proc/self/oom_score_adj", 100);
	as_nobody(condition("nobody"), lower);
}

const struct check score_checks[] = {
	{ "score-badness", score_badness, "large adj.large adj.small", false },
	{ "score-swap", score_swap, "swapped adj.large", false },
	{ "score-tables", score_tables, "sparse adj.large", false },
	{ "score-adj", score_adj, "adj", false },
	{ "badness-between", badness_between, "adj adj.large", false },
	{ "badness-below", badness_below, "adj adj.large", false },
	{ "badness-negative", badness_negative, "adj adj.small", false },
	{ "adj-inherited", adj_inherited, "adj", true },
	{ "adj-shared", adj_shared, "vm", true },
	{ "adj-lower", adj_lower, "nobody", false },
	{ 0 },
};

// SPDX-License-Identifier: MIT
/* What mode 2 keeps back: the reserves of root and of the user, and the per-CPU parts of the counter. */
#include <sched.h>

#include "verify.h"

/* Measure the largest mapping that a process without CAP_SYS_ADMIN gets, in a child without it. */
static long largest_as_nobody(long high_kb, bool nobody)
{
	long *found = (long *)map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS), most;
	pid_t pid = fork();

	if (pid < 0)
		refused("fork");
	if (pid == 0) {
		if (nobody && (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
			_exit(EXIT_REFUSED);
		*found = largest(high_kb);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	most = *found;
	munmap(found, PAGE);
	return most;
}

static void admin_reserve(void)
{
	bool nobody = condition("nobody");
	long limit, none, some, root_none, root_some;

	strict();
	limit = meminfo("CommitLimit");
	none = largest_as_nobody(4 * limit, nobody);
	root_none = largest(4 * limit);
	given_vm("admin_reserve_kbytes", 8192, 0);
	some = largest_as_nobody(4 * limit, nobody);
	root_some = largest(4 * limit);
	tell("nobody_without=%ld nobody_with=%ld root_without=%ld root_with=%ld", none, some, root_none, root_some);
}

static void user_reserve(long reserve)
{
	long limit, none, some, vm;

	strict();
	limit = meminfo("CommitLimit");
	/* Address space that is not charged: nobody may write to it. */
	if (condition("large"))
		map(512 * MB, PROT_NONE, ANON);
	vm = number_in("/proc/self/status", "VmSize");
	none = largest(4 * limit);
	given_vm("user_reserve_kbytes", reserve, 0);
	some = largest(4 * limit);
	tell("vm=%ld without=%ld with=%ld", vm, none, some);
}

static void user_reserve_bound(void)
{
	user_reserve(8192);
}

static void user_reserve_share(void)
{
	user_reserve(1024 * 1024);
}

/* ---- vm_committed_as is a percpu_counter ---- */

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		refused("sched_setaffinity");
}

static void percpu_slack(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), limit, number = 0;

	strict();
	limit = meminfo("CommitLimit");
	for (; number < 100000; number++) {
		on_cpu((int)(number % cpus));
		if (mmap(NULL, 16 * PAGE, RW, ANON, -1, 0) == MAP_FAILED)
			break;
	}
	tell("cpus=%ld total=%ld limit=%ld step=64 committed=%ld mappings=%ld", cpus, meminfo("MemTotal"), limit,
	     committed(), number);
	/* The control: one more of the same size is granted in mode 0. */
	require_vm("overcommit_memory", 0);
	tell("control_mode0=%d", try_map(16 * PAGE, RW, ANON));
}

const struct check reserves_checks[] = {
	{ "admin-reserve", admin_reserve, "overcommit_memory nobody admin_reserve_kbytes", false },
	{ "user-reserve-bound", user_reserve_bound, "overcommit_memory large user_reserve_kbytes", false },
	{ "user-reserve-share", user_reserve_share, "overcommit_memory large user_reserve_kbytes", false },
	{ "percpu-slack", percpu_slack, "overcommit_memory", false },
	{ 0 },
};

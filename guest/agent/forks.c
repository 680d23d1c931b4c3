// SPDX-License-Identifier: MIT
/*
 * Count the forks that the kernel refused. What a program says about it ("fork: ENOMEM") is its own word, and the number
 * of processes in /proc/stat counts only those that were made. The tracepoints at the end of fork, vfork, clone and
 * clone3 have the result: EAGAIN and ENOMEM are the refusals of fork(2).
 */
#include <linux/perf_event.h>
#include <unistd.h>

#include "agent.h"

enum { MAX_CPUS = 64, CALLS = 4 };

static const char *const calls[CALLS] = {
	"syscalls/sys_exit_fork", "syscalls/sys_exit_vfork", "syscalls/sys_exit_clone", "syscalls/sys_exit_clone3",
};
static int events[MAX_CPUS * CALLS], count;
static bool whole;

/* To be called while tracefs is open, before any program starts. */
void watch_forks(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	whole = cpus <= MAX_CPUS;
	for (int call = 0; call < CALLS && whole; call++) {
		long id = tracepoint_id(calls[call]);

		for (int cpu = 0; cpu < cpus && whole; cpu++) {
			/* The filter's numbers are EAGAIN and ENOMEM (include/uapi/asm-generic/errno-base.h). */
			int fd = id ? count_event(-1, cpu, PERF_TYPE_TRACEPOINT, (uint64_t)id, "ret == -11 || ret == -12")
				    : -1;

			whole = fd >= 0;
			if (whole)
				events[count++] = fd;
		}
	}
}

/* Record how many forks the kernel has refused since boot: null where it does not count them. */
void say_refused_forks(void)
{
	int64_t sum = 0;

	for (int i = 0; i < count; i++)
		sum += event_count(events[i]);
	if (whole)
		rec_int("refused_forks", sum);
	else
		rec_null("refused_forks");
}

// SPDX-License-Identifier: MIT
/*
 * Count the forks that the kernel refused. What a program says about it ("fork: ENOMEM") is its own word, and the number
 * of processes in /proc/stat counts only those that were made. The tracepoints at the end of fork, vfork, clone and
 * clone3 have the result: EAGAIN and ENOMEM are the refusals of fork(2).
 */
#include "agent.h"

enum { CALLS = 4 };

static const char *const calls[CALLS] = {
	"syscalls/sys_exit_fork", "syscalls/sys_exit_vfork", "syscalls/sys_exit_clone", "syscalls/sys_exit_clone3",
};
static struct everywhere refused[CALLS];
static bool whole = true;

/* To be called while tracefs is open, before any program starts. */
void watch_forks(void)
{
	/* The filter's numbers are EAGAIN and ENOMEM (include/uapi/asm-generic/errno-base.h). */
	for (int call = 0; call < CALLS; call++)
		whole = count_everywhere(&refused[call], tracepoint_id(calls[call]), "ret == -11 || ret == -12") && whole;
}

/* Record how many forks the kernel has refused since boot: null where it does not count them. */
void say_refused_forks(void)
{
	int64_t sum = 0;

	for (int call = 0; call < CALLS; call++)
		sum += count_of_all(&refused[call]);
	if (whole)
		rec_int("refused_forks", sum);
	else
		rec_null("refused_forks");
}

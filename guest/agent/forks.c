// SPDX-License-Identifier: MIT
/*
 * Count the forks that the kernel refused. What a program says about it ("fork: ENOMEM") is its own word, and the number
 * of processes in /proc/stat counts only those that were made. The tracepoints at the end of fork, vfork, clone and
 * clone3 have the result: EAGAIN and ENOMEM are the refusals of fork(2).
 *
 * These tracepoints leave out 32-bit system calls (arch_trace_is_compat_syscall() of arch/x86/include/asm/ftrace.h), and
 * raw_syscalls:sys_exit has all, by their numbers alone. A 32-bit clone is 120, which is getresgid of 64-bit programs
 * and fails with neither error; clone3 is 435 for both. fork and vfork are 2 and 190, which are open and fsetxattr:
 * these are not counted. (arch/x86/entry/syscalls/syscall_32.tbl and syscall_64.tbl)
 */
#include "agent.h"

enum { CALLS = 4 };

static const char *const calls[CALLS] = {
	"syscalls/sys_exit_fork", "syscalls/sys_exit_vfork", "syscalls/sys_exit_clone", "raw_syscalls/sys_exit",
};
static struct everywhere refused[CALLS];
static bool whole = true;

/* To be called while tracefs is open, before any program starts. */
void watch_forks(void)
{
	/* The filter's numbers are EAGAIN and ENOMEM (include/uapi/asm-generic/errno-base.h). */
	const char *errors = "ret == -11 || ret == -12", *and_calls = "(id == 120 || id == 435) && (ret == -11 || ret == -12)";

	for (int call = 0; call < CALLS; call++)
		whole = count_everywhere(&refused[call], tracepoint_id(calls[call]),
					 call == CALLS - 1 ? and_calls : errors) && whole;
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

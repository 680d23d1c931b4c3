// SPDX-License-Identifier: MIT
/*
 * fork-returns-twice: one call, two returns. Both processes execute the code after it, so 'bye' is printed twice.
 */
#include <getopt.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "phases.h"

static const char help[] =
	"usage: fork-returns-twice [options]\n"
	"Calls fork once. The call returns in the parent, with the child's pid, and in the child, with 0.\n"
	"\n"
	"  --method HOW   fork (default): the child counts in its own copy of a variable\n"
	"                 clone-vm: clone with CLONE_VM, the child counts in the parent's own variable\n"
	"                 clone-thread: and CLONE_SIGHAND | CLONE_THREAD: a second thread of the same process\n"
	"                 clone-newpid: clone with CLONE_NEWPID: in its PID namespace the child is 1\n"
	"  --buffered     leave a line in stdio's buffer when forking: the buffer is memory like any other, so it is\n"
	"                 copied, and both processes write it out\n"
	"  --no-stop      do not stop after each phase\n"
	"\n"
	"Phases, each a line after which the process stops until SIGCONT:\n"
	"  parent: 'parent returned PID' (stops), waits for the child, 'counter VALUE', 'bye'\n"
	"  child:  'child returned 0', 'child is PID TID' (stops), 'bye'\n"
	"A thread does not stop by itself: the parent waits for its line, and stops the whole process.\n"
	"Exit status: 0 done, 64 usage error, 71 the kernel refused: 'fork: EAGAIN'.\n";

static volatile int counter;	/* global on purpose: the experiment shows whether the processes share it */
static volatile pid_t thread;	/* the kernel clears it when the thread ends (CLONE_CHILD_CLEARTID) */
static volatile bool spoken, resumed;
static bool no_stop, threaded, own_memory;

/*
 * Process 1 of a PID namespace ignores a SIGSTOP that comes from within it (sig_task_ignored() of kernel/signal.c), so
 * its parent stops it from outside, when it has spoken.
 */
static int spoke[2];
static volatile sig_atomic_t continued;

static void on_continue(int signal)
{
	(void)signal;
	continued = 1;
}

static void wait_to_be_continued(void)
{
	struct sigaction action = { .sa_handler = on_continue };

	if (sigaction(SIGCONT, &action, NULL) || write(spoke[1], "", 1) != 1)
		refused("write");
	while (!continued)
		sleep_for(1000000);
}

static void stop_from_outside(pid_t child)
{
	char byte;

	if (read(spoke[0], &byte, 1) != 1 || kill(child, SIGSTOP))
		refused("kill");
}

static void stop_unless_told(void)
{
	if (!no_stop)
		stop_here();
}

static void as_child(pid_t returned)
{
	take_role("child");
	say("child returned %d", returned);
	/* system calls, because glibc has no thread of its own for one that clone(2) made */
	say("child is %ld %ld", syscall(SYS_getpid), syscall(SYS_gettid));
	if (threaded) {
		spoken = true;
		while (!resumed)
			sched_yield();
	} else if (own_memory && !no_stop) {
		wait_to_be_continued();
	} else {
		stop_unless_told();
	}
	counter++;
}

static int cloned(void *unused)
{
	(void)unused;
	as_child(0);
	say("bye");
	if (threaded)
		syscall(SYS_exit, 0);	/* ends the thread alone; _exit() would end the process */
	if (own_memory)
		exit(0);	/* with a buffer of its own, which exit() writes out */
	_exit(0);
}

static void wait_for_thread(void)
{
	pid_t running;

	while ((running = thread))
		syscall(SYS_futex, &thread, FUTEX_WAIT, running, NULL, NULL, 0);
}

static void as_parent(pid_t returned)
{
	take_role("parent");
	say("parent returned %d", returned);
	while (threaded && !spoken)
		sched_yield();
	if (own_memory && !no_stop)
		stop_from_outside(returned);
	stop_unless_told();
	if (threaded) {
		resumed = true;
		wait_for_thread();
	} else if (waitpid(returned, NULL, 0) < 0) {
		refused("waitpid");
	}
	say("counter %d", counter);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "method", required_argument, NULL, 'm' }, { "buffered", no_argument, NULL, 'b' },
		{ "no-stop", no_argument, NULL, 'x' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	static char stack[64 * 1024] __attribute__((aligned(16)));
	static const struct { const char *name; int flags; } methods[] = {
		{ "fork", 0 }, { "clone-vm", CLONE_VM | SIGCHLD }, { "clone-newpid", CLONE_NEWPID | SIGCHLD },
		{ "clone-thread", CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID },
	};
	bool buffered = false;
	int option, flags = 0, method = 0;
	pid_t pid;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'm':
			for (method = 0; method < 4 && strcmp(optarg, methods[method].name) != 0;)
				method++;
			if (method == 4)
				usage_error("--method: '%s' is none of the choices", optarg);
			flags = methods[method].flags;
			break;
		case 'b': buffered = true; break;
		case 'x': no_stop = true; break;
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("fork-returns-twice takes no such option");
		}
	}
	if (optind != argc)
		usage_error("'%s' is not an option", argv[optind]);
	if (buffered)
		printf("buffered\n");	/* stdio buffers it until exit, because stdout is a pipe */
	threaded = flags & CLONE_THREAD;
	own_memory = flags && !(flags & CLONE_VM);
	if (own_memory && pipe(spoke))
		refused("pipe");
	if (flags) {
		pid = clone(cloned, stack + sizeof(stack), flags, NULL, &thread, NULL, &thread);
		if (pid < 0)
			refused("clone");
	} else {
		pid = fork();
		if (pid < 0)
			refused("fork");
	}
	if (pid == 0)
		as_child(pid);
	else
		as_parent(pid);
	say("bye");
	return 0;
}

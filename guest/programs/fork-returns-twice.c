// SPDX-License-Identifier: MIT
/*
 * fork-returns-twice: one call, two returns. Both processes execute the code after it, so 'bye' is printed twice.
 */
#include <getopt.h>
#include <sched.h>
#include <sys/wait.h>

#include "phases.h"

static const char help[] =
	"usage: fork-returns-twice [options]\n"
	"Calls fork once. The call returns in the parent, with the child's pid, and in the child, with 0.\n"
	"\n"
	"  --method HOW   fork (default): the child counts in its own copy of a variable\n"
	"                 clone-vm: clone with CLONE_VM, the child counts in the parent's own variable\n"
	"  --buffered     leave a line in stdio's buffer when forking: the buffer is memory like any other, so it is\n"
	"                 copied, and both processes write it out\n"
	"  --no-stop      do not stop after each phase\n"
	"\n"
	"Phases, each a line after which the process stops until SIGCONT:\n"
	"  parent: 'parent returned PID' (stops), waits for the child, 'counter VALUE', 'bye'\n"
	"  child:  'child returned 0' (stops), 'bye'\n"
	"Exit status: 0 done, 64 usage error, 71 the kernel refused: 'fork: EAGAIN'.\n";

static volatile int counter;	/* global on purpose: the experiment shows whether the processes share it */
static bool no_stop;

static void stop_unless_told(void)
{
	if (!no_stop)
		stop_here();
}

static void as_child(pid_t returned)
{
	take_role("child");
	say("child returned %d", returned);
	stop_unless_told();
	counter++;
}

static int cloned(void *unused)
{
	(void)unused;
	as_child(0);
	say("bye");
	_exit(0);
}

static void as_parent(pid_t returned)
{
	take_role("parent");
	say("parent returned %d", returned);
	stop_unless_told();
	if (waitpid(returned, NULL, 0) < 0)
		refused("waitpid");
	say("counter %d", counter);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "method", required_argument, NULL, 'm' }, { "buffered", no_argument, NULL, 'b' },
		{ "no-stop", no_argument, NULL, 'x' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	static char stack[64 * 1024] __attribute__((aligned(16)));
	bool share = false, buffered = false;
	int option;
	pid_t pid;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'm':
			if (strcmp(optarg, "fork") != 0 && strcmp(optarg, "clone-vm") != 0)
				usage_error("--method: '%s' is neither fork nor clone-vm", optarg);
			share = strcmp(optarg, "clone-vm") == 0;
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
	if (share) {
		pid = clone(cloned, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
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

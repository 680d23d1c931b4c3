// SPDX-License-Identifier: MIT
/*
 * fork-join: several processes share one array, each computes its part, and the parent collects them with waitpid.
 */
#include <getopt.h>
#include <sys/wait.h>

#include "phases.h"

static const char help[] =
	"usage: fork-join [options]\n"
	"An array lies in shared memory. N jobs compute its parts: the parent is job 0, its children are the others.\n"
	"A child exits with its job's number; the parent waits for each and looks at the whole.\n"
	"\n"
	"  --size SIZE   the array (16M)\n"
	"  --jobs N      into how many parts it is cut (2, at most 64)\n"
	"  --kill JOB    that child kills itself half way (SIGKILL): its status is a signal, its part is not whole\n"
	"  --private     the array is private memory instead: what the children compute is lost with them\n"
	"  --no-stop     do not stop after each phase\n"
	"\n"
	"Lines: 'region array START LENGTH', 'forked JOB PID', 'job JOB ready' (children; each stops until SIGCONT),\n"
	"'job JOB computed WORDS', 'child PID exited CODE' or 'child PID killed SIGNAL', then the parent's count of the\n"
	"words: 'once N', 'never N', 'more N'. The parent is 'parent', the children are 'job1', 'job2', ...\n"
	"Exit status: 0 done, 64 usage error, 71 the kernel refused.\n";

static volatile uint64_t *array;
static size_t words;
static long jobs = 2, killed = -1;
static bool no_stop;

/* Add 1 to each word of this process's part: a word that was computed twice is then 2 and not 1. */
static void compute(long job)
{
	size_t from = words * (size_t)job / (size_t)jobs, to = words * (size_t)(job + 1) / (size_t)jobs;

	for (size_t word = from; word < to; word++) {
		if (job == killed && word == from + (to - from) / 2)
			kill(getpid(), SIGKILL);
		array[word]++;
	}
	say("job %ld computed %zu", job, to - from);
}

static void child(long job)
{
	char name[16];

	snprintf(name, sizeof(name), "job%ld", job);
	take_role(name);
	say("job %ld ready", job);
	if (!no_stop)
		stop_here();
	compute(job);
	_exit((int)job);
}

static void join(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, 0)) > 0) {
		if (WIFSIGNALED(status))
			say("child %d killed %s", pid, sigabbrev_np(WTERMSIG(status)));
		else
			say("child %d exited %d", pid, WEXITSTATUS(status));
	}
	if (errno != ECHILD)
		refused("waitpid");
}

static void count(void)
{
	size_t once = 0, never = 0, more = 0;

	for (size_t word = 0; word < words; word++) {
		once += array[word] == 1;
		never += array[word] == 0;
		more += array[word] > 1;
	}
	say("once %zu", once);
	say("never %zu", never);
	say("more %zu", more);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' }, { "jobs", required_argument, NULL, 'j' },
		{ "kill", required_argument, NULL, 'k' }, { "private", no_argument, NULL, 'p' },
		{ "no-stop", no_argument, NULL, 'x' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	size_t size = 16 << 20;
	int sharing = MAP_SHARED, option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 's': size = size_of("--size", optarg); break;
		case 'j': jobs = number_of("--jobs", optarg, 1, 64); break;
		case 'k': killed = number_of("--kill", optarg, 1, 63); break;
		case 'p': sharing = MAP_PRIVATE; break;
		case 'x': no_stop = true; break;
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("fork-join takes no such option");
		}
	}
	if (optind != argc)
		usage_error("'%s' is not an option", argv[optind]);
	words = size / sizeof(*array);
	if (words < (size_t)jobs)
		usage_error("--size: %zu bytes are too few for %ld jobs", size, jobs);
	if (killed >= jobs)
		usage_error("--kill: there is no job %ld among %ld", killed, jobs);
	take_role("parent");
	array = map_array("array", size, sharing);
	for (long job = 1; job < jobs; job++) {
		pid_t pid = fork();

		if (pid < 0)
			refused("fork");
		if (pid == 0)
			child(job);
		say("forked %ld %d", job, pid);
	}
	compute(0);
	join();
	count();
	return 0;
}

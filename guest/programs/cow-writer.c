// SPDX-License-Identifier: MIT
/*
 * cow-writer: a parent fills an array and forks; the child then writes to it, a few megabytes at a time.
 *
 * fork copies no page. Both processes map the same ones, write-protected, and the kernel copies a page when one of the
 * two writes to it. So a fork seems to cost nothing, but it promises memory for every page, and each step of the child
 * calls in a part of that promise.
 */
#include <getopt.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>

#include "phases.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* include/uapi/asm-generic/mman-common.h, since Linux 5.14 */
#endif

static const char help[] =
	"usage: cow-writer [options]\n"
	"A parent fills an array and forks. The child writes to the array step by step, and each page that it\n"
	"writes is copied for it, because the parent still needs the old one.\n"
	"\n"
	"  --size SIZE     the array (200M)\n"
	"  --step SIZE     what the child writes in a step (4M); new pages each step\n"
	"  --every TIME    the pause before each step (30s; 0: none)\n"
	"  --steps N       how many steps (as many as the array has)\n"
	"  --method HOW    how the child is made (fork):\n"
	"                  fork         its memory is the parent's, copied on write\n"
	"                  clone-vm     clone with CLONE_VM: it writes to the parent's own pages, nothing is copied\n"
	"                  vfork, posix_spawn   it runs this program anew, with an array of its own\n"
	"  --touch HOW     right after its start the child touches every page (none): read, or write; or it lets the\n"
	"                  kernel do so: mlock, or populate (madvise with MADV_POPULATE_WRITE, Linux 5.14).\n"
	"                  map-populate: the parent maps its array with MAP_POPULATE, and the child does nothing\n"
	"  --advise HOW    madvise on the array before the fork (none): dontfork (the child does not get it: its\n"
	"                  first step is a SIGSEGV), wipeonfork (it gets zeros, and pays when it writes), nothuge, huge\n"
	"  --fill HOW      what a page is filled with: word (one word, fast), page (all of it, does not compress)\n"
	"  --told          when the writing begins, read step and pace as a line of standard input: 'step=4M every=30s'\n"
	"  --no-stop       do not stop after each phase\n"
	"\n"
	"Phases, each a line after which the process stops until SIGCONT:\n"
	"  parent: 'region array START LENGTH' (stops with map-populate), 'filled BYTES' (stops), 'forked PID' (waits for\n"
	"          the child)\n"
	"  child:  'prefaulted BYTES' (with --touch; stops), 'child ready' (stops), 'step K BYTES' ..., 'done'\n"
	"  parent: 'child exited CODE' or 'child killed SIGNAL'\n"
	"Exit status: 0 done (whatever became of the child), 64 usage error, 71 the kernel refused: 'mmap: ENOMEM',\n"
	"'fork: ENOMEM'.\n";

enum method { BY_FORK, BY_CLONE_VM, BY_VFORK, BY_POSIX_SPAWN };

static struct {
	size_t size, step;
	int64_t every;
	long steps;
	enum method method;
	const char *touch, *advise;
	bool whole_pages, no_stop, told, as_child;
} set = { .size = 200 << 20, .step = 4 << 20, .every = 30000000000, .touch = "none", .advise = "none" };

static size_t page_size;
static volatile uint64_t *array;
static char **own_argv;

static void phase_ends(void)
{
	if (!set.no_stop)
		stop_here();
}

static void write_one(size_t page, uint64_t tag)
{
	(set.whole_pages ? fill_page : write_page)(array, page, tag);
}

/* ---- the child ---- */

static bool touched(const char *how)
{
	return strcmp(set.touch, how) == 0;
}

static void prefault(void)
{
	size_t pages = set.size / page_size;
	uint64_t sum = 0;

	if (touched("none") || touched("map-populate"))
		return;
	if (touched("mlock") || touched("populate")) {
		if (touched("mlock") ? mlock((void *)array, set.size) :
				       madvise((void *)array, set.size, MADV_POPULATE_WRITE))
			refused(touched("mlock") ? "mlock" : "madvise");
		pages = 0;
	}
	for (size_t page = 0; page < pages; page++) {
		if (touched("write"))
			write_one(page, 2);
		else
			sum += array[page * (page_size / sizeof(*array))];
	}
	(void)sum;
	say("prefaulted %zu", set.size);
	phase_ends();
}

static void check_sizes(void)
{
	if (set.size < page_size || set.size % page_size || set.step < page_size || set.step % page_size)
		usage_error("--size and --step are whole pages of %zu bytes, at least one", page_size);
}

/* Read step and pace at the phase that uses them, so that a guest which was saved before can go on with others. */
static void be_told(void)
{
	char line[256], *save;
	ssize_t length = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (length <= 0)
		usage_error("--told: nobody says a line on standard input");
	line[length] = '\0';
	for (char *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (strncmp(word, "step=", 5) == 0)
			set.step = size_of("step", word + 5);
		else if (strncmp(word, "every=", 6) == 0)
			set.every = duration_of("every", word + 6);
		else
			usage_error("--told: '%s' is neither step= nor every=", word);
	}
	check_sizes();
}

static int child(void *unused)
{
	size_t pages = set.size / page_size, per_step, page = 0;

	(void)unused;
	take_role("child");
	prefault();
	say("child ready");
	phase_ends();
	if (set.told)
		be_told();
	per_step = set.step / page_size;
	if (set.steps == 0)
		set.steps = (long)((set.size + set.step - 1) / set.step);
	for (long step = 1; step <= set.steps && page < pages; step++) {
		size_t end = pages - page < per_step ? pages : page + per_step;

		if (set.every)
			sleep_for(set.every);
		for (; page < end; page++)
			write_one(page, (uint64_t)step + 2);
		say("step %ld %zu", step, page * page_size);
	}
	say("done");
	_exit(0);
}

/* ---- the parent ---- */

static void fill(void)
{
	size_t pages = set.size / page_size;

	array = map_array("array", set.size, MAP_PRIVATE | (strcmp(set.touch, "map-populate") ? 0 : MAP_POPULATE));
	/* The pages are the kernel's doing so far: they are counted before the first write. */
	if (touched("map-populate"))
		phase_ends();
	if (strcmp(set.advise, "nothuge") == 0 && madvise((void *)array, set.size, MADV_NOHUGEPAGE))
		refused("madvise");
	if (strcmp(set.advise, "huge") == 0 && madvise((void *)array, set.size, MADV_HUGEPAGE))
		refused("madvise");
	for (size_t page = 0; page < pages; page++)
		write_one(page, 1);
	if (strcmp(set.advise, "dontfork") == 0 && madvise((void *)array, set.size, MADV_DONTFORK))
		refused("madvise");
	if (strcmp(set.advise, "wipeonfork") == 0 && madvise((void *)array, set.size, MADV_WIPEONFORK))
		refused("madvise");
	say("filled %zu", pages * page_size);
}

/* Print the arguments again, with the word that says which of the two processes prints. */
static char **argv_of_child(void)
{
	static char as_child[] = "--as-child";
	static char *argv[64];
	int count = 0;

	while (own_argv[count] && count < 62) {
		argv[count] = own_argv[count];
		count++;
	}
	argv[count] = as_child;
	return argv;
}

static pid_t make_child(void)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	char **argv = argv_of_child();
	pid_t pid = -1;

	switch (set.method) {
	case BY_FORK:
		pid = fork();
		if (pid == 0)
			child(NULL);
		if (pid < 0)
			refused("fork");
		break;
	case BY_CLONE_VM:
		pid = clone(child, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
		if (pid < 0)
			refused("clone");
		break;
	case BY_VFORK:
		pid = vfork();
		if (pid == 0) {
			execv("/proc/self/exe", argv);
			_exit(EXIT_REFUSED);
		}
		if (pid < 0)
			refused("vfork");
		break;
	case BY_POSIX_SPAWN:
		errno = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, NULL);
		if (errno)
			refused("posix_spawn");
		break;
	}
	return pid;
}

static int parent(void)
{
	pid_t pid;
	int status;

	take_role("parent");
	fill();
	phase_ends();
	pid = make_child();
	say("forked %d", pid);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			refused("waitpid");
	if (WIFSIGNALED(status))
		say("child killed %s", sigabbrev_np(WTERMSIG(status)));
	else
		say("child exited %d", WEXITSTATUS(status));
	return 0;
}

/* ---- the call ---- */

static const char *one_of(const char *option, const char *value, const char *const choices[])
{
	for (int i = 0; choices[i]; i++)
		if (strcmp(value, choices[i]) == 0)
			return choices[i];
	usage_error("%s: '%s' is none of the choices", option, value);
}

static enum method method_of(const char *value)
{
	static const char *const names[] = { "fork", "clone-vm", "vfork", "posix_spawn", NULL };
	const char *name = one_of("--method", value, names);
	int which = 0;

	while (names[which] != name)
		which++;
	return (enum method)which;
}

static void read_options(int argc, char **argv)
{
	static const char *const touches[] = { "none", "read", "write", "mlock", "populate", "map-populate", NULL };
	static const char *const advices[] = { "none", "dontfork", "wipeonfork", "nothuge", "huge", NULL };
	static const char *const fills[] = { "word", "page", NULL };
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' }, { "step", required_argument, NULL, 't' },
		{ "every", required_argument, NULL, 'e' }, { "steps", required_argument, NULL, 'n' },
		{ "method", required_argument, NULL, 'm' }, { "touch", required_argument, NULL, 'p' },
		{ "advise", required_argument, NULL, 'a' }, { "fill", required_argument, NULL, 'f' },
		{ "no-stop", no_argument, NULL, 'x' }, { "as-child", no_argument, NULL, 'c' },
		{ "told", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 's': set.size = size_of("--size", optarg); break;
		case 't': set.step = size_of("--step", optarg); break;
		case 'e': set.every = duration_of("--every", optarg); break;
		case 'n': set.steps = number_of("--steps", optarg, 1, 1000000); break;
		case 'm': set.method = method_of(optarg); break;
		case 'p': set.touch = one_of("--touch", optarg, touches); break;
		case 'a': set.advise = one_of("--advise", optarg, advices); break;
		case 'f': set.whole_pages = strcmp(one_of("--fill", optarg, fills), "page") == 0; break;
		case 'x': set.no_stop = true; break;
		case 'c': set.as_child = true; break;
		case 'l': set.told = true; break;
		case 'h': fputs(help, stdout); exit(0);
		default: usage_error("cow-writer takes no such option");
		}
	}
	if (optind != argc)
		usage_error("'%s' is not an option", argv[optind]);
	check_sizes();
}

int main(int argc, char **argv)
{
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	own_argv = argv;
	read_options(argc, argv);
	if (!set.as_child)
		return parent();
	array = map_array("own", set.size, MAP_PRIVATE);
	return child(NULL);
}

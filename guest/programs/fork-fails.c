// SPDX-License-Identifier: MIT
/* fork-fails: forks until the kernel refuses, and prints the errno. */
#include <getopt.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>

#include "phases.h"

static const char help[] =
	"usage: fork-fails [options]\n"
	"Makes children that only wait, until the kernel refuses one or there are enough.\n"
	"\n"
	"  --count N      how many children at most (1)\n"
	"  --size SIZE    memory that the parent holds when it forks (0): what fork promises to the child too\n"
	"  --fill HOW     touch (default): write to all of it; map: only map it (it is promised, not there)\n"
	"  --namespace    make the children in a PID namespace whose process 1 has ended (needs CAP_SYS_ADMIN)\n"
	"  --method HOW   fork (default); vfork, posix_spawn: a new program that shares nothing is promised nothing\n"
	"  --reserve      keep memory back for what each child copies at its start: in a full cgroup only a fork fails\n"
	"  --no-stop      do not stop at the end\n"
	"\n"
	"Lines: 'region array START LENGTH', 'holding BYTES' (stops), then 'forked N' with the number that there are, and\n"
	"'fork: ERRNO' where the kernel refused one (stops, with the children still there).\n"
	"The parent is 'parent', the children are 'child'.\n"
	"Exit status: 0 all were made, 64 usage error, 71 the kernel refused one.\n";

enum method { BY_FORK, BY_VFORK, BY_POSIX_SPAWN };

static const char *const method_names[] = { "fork", "vfork", "posix_spawn" };
static bool no_stop;

static void phase_ends(void)
{
	if (!no_stop)
		stop_here();
}

__attribute__((noreturn))
static void wait_for_ever(pid_t parent)
{
	take_role("child");
	end_with_parent(parent);
	for (;;)
		pause();
}

/* Returns 0, or the errno of the refused fork. */
static int make_child(enum method method)
{
	static char name[] = "child", word[32];
	char *argv[] = { name, word, NULL };
	pid_t pid = -1, parent = getpid();

	snprintf(word, sizeof(word), "--as-child-of=%d", parent);
	switch (method) {
	case BY_FORK:
		pid = fork();
		if (pid == 0)
			wait_for_ever(parent);
		break;
	case BY_VFORK:
		pid = vfork();
		if (pid == 0) {
			execv("/proc/self/exe", argv);
			_exit(EXIT_REFUSED);
		}
		break;
	case BY_POSIX_SPAWN:
		return posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, NULL);
	}
	return pid < 0 ? errno : 0;
}

/*
 * A child copies a few pages before it waits, and a page fault that finds a full cgroup is tried again for ever where no
 * process may be killed. So a part of the group is kept back and given to each child when it starts: only a fork can
 * find the group full. The children have none of it (MADV_DONTFORK).
 */
enum { SHARES = 64, SHARE_BYTES = 8 * 4096 };

static char *reserve;

static void keep_reserve(void)
{
	reserve = mmap(NULL, SHARES * SHARE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (reserve == MAP_FAILED || madvise(reserve, SHARES * SHARE_BYTES, MADV_DONTFORK))
		refused("mmap");
	for (size_t at = 0; at < SHARES * SHARE_BYTES; at += 4096)
		*(volatile char *)(reserve + at) = 1;
}

static void give_share(long number)
{
	if (!reserve || number >= SHARES)
		return;
	madvise(reserve + number * SHARE_BYTES, SHARE_BYTES, MADV_DONTNEED);
	sleep_for(1000000);
}

static enum method method_of(const char *name)
{
	for (int i = 0; i < 3; i++)
		if (strcmp(method_names[i], name) == 0)
			return (enum method)i;
	usage_error("--method: '%s' is none of fork, vfork, posix_spawn", name);
}

static void hold(size_t size, bool touch)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	volatile uint64_t *array;

	if (size) {
		array = map_array("array", size, MAP_PRIVATE);
		for (size_t page = 0; touch && page < size / page_size; page++)
			write_page(array, page, 1);
	}
	say("holding %zu", size);
	phase_ends();
}

/* The next child is process 1 of a new PID namespace. Make it, let it end, and stay in that namespace. */
static void enter_dead_namespace(void)
{
	pid_t first;

	if (unshare(CLONE_NEWPID))
		refused("unshare");
	first = fork();
	if (first < 0)
		refused("fork");
	if (first == 0)
		_exit(0);
	if (waitpid(first, NULL, 0) < 0)
		refused("waitpid");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'n' }, { "size", required_argument, NULL, 's' },
		{ "fill", required_argument, NULL, 'f' }, { "method", required_argument, NULL, 'm' },
		{ "namespace", no_argument, NULL, 'p' }, { "reserve", no_argument, NULL, 'r' },
		{ "no-stop", no_argument, NULL, 'x' }, { "as-child-of", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	enum method method = BY_FORK;
	long count = 1, made = 0;
	size_t size = 0;
	bool touch = true, dead_namespace = false, reserves = false;
	int option, err = 0;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'n': count = number_of("--count", optarg, 1, 1000000); break;
		case 's': size = size_of("--size", optarg); break;
		case 'f':
			if (strcmp(optarg, "touch") != 0 && strcmp(optarg, "map") != 0)
				usage_error("--fill: '%s' is neither touch nor map", optarg);
			touch = strcmp(optarg, "touch") == 0;
			break;
		case 'm': method = method_of(optarg); break;
		case 'p': dead_namespace = true; break;
		case 'r': reserves = true; break;
		case 'x': no_stop = true; break;
		case 'c': wait_for_ever((pid_t)number_of("--as-child-of", optarg, 1, 4194304));
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("fork-fails takes no such option");
		}
	}
	if (optind != argc)
		usage_error("'%s' is not an option", argv[optind]);
	take_role("parent");
	if (reserves)
		keep_reserve();
	hold(size, touch);
	if (dead_namespace)
		enter_dead_namespace();
	while (made < count && (err = make_child(method)) == 0)
		give_share(made++);
	give_share(made);
	say("forked %ld", made);
	if (err)
		say("%s: %s", method_names[method], strerrorname_np(err));
	phase_ends();
	return err ? EXIT_REFUSED : 0;
}

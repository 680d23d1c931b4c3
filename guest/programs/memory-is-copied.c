// SPDX-License-Identifier: MIT
/*
 * memory-is-copied: after fork an array is the same in both processes, until one of them writes. The page map shows the
 * frame behind each page: one for both before the write, two after it.
 */
#include <getopt.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "phases.h"

static const char help[] =
	"usage: memory-is-copied [options]\n"
	"A parent fills a few pages and forks; the child (or, with --writer parent, the parent) writes to one of them.\n"
	"\n"
	"  --pages N        how many pages (4, at most 1024)\n"
	"  --page K         which of them is written to (1)\n"
	"  --writer WHO     child (default) or parent\n"
	"  --shared         the array is shared memory: the write is seen by both, and nothing is copied\n"
	"  --no-stop        do not stop after each phase\n"
	"\n"
	"Phases, each a line after which the process stops until SIGCONT:\n"
	"  'region array START LENGTH', 'filled BYTES' (parent stops), 'forked PID',\n"
	"  'child ready' (child stops; the parent stops too), 'WHO wrote PAGE' (the writer stops),\n"
	"  'child sees VALUE' (the child ends), 'parent sees VALUE' (stops), 'parent alone FAULTS' (stops): with the child\n"
	"  gone it wrote to every page that nobody had written to, and took so many minor faults\n"
	"Exit status: 0 done, 64 usage error, 71 the kernel refused.\n";

enum { OLD = 1, NEW = 2 };

static volatile uint64_t *array;
static size_t page_size;
static long pages = 4, page = 1;
static bool no_stop, parent_writes;

static void phase_ends(void)
{
	if (!no_stop)
		stop_here();
}

static volatile uint64_t *written_word(void)
{
	return &array[(size_t)page * page_size / sizeof(*array)];
}

static void take_turn(const char *who, bool writes)
{
	if (writes) {
		*written_word() = NEW;
		say("%s wrote %ld", who, page);
		phase_ends();
	}
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* Nobody else maps the pages any more: the kernel need not copy them, and makes them writable as they are. */
static void write_alone(void)
{
	long before = minor_faults(), after;

	for (long i = 0; i < pages; i++)
		if (i != page)
			array[(size_t)i * page_size / sizeof(*array)] = NEW;
	after = minor_faults();
	say("parent alone %ld", after - before);
	phase_ends();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pages", required_argument, NULL, 'n' }, { "page", required_argument, NULL, 'k' },
		{ "writer", required_argument, NULL, 'w' }, { "shared", no_argument, NULL, 's' },
		{ "no-stop", no_argument, NULL, 'x' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int sharing = MAP_PRIVATE, option;
	pid_t pid;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'n': pages = number_of("--pages", optarg, 1, 1024); break;
		case 'k': page = number_of("--page", optarg, 0, 1023); break;
		case 'w':
			if (strcmp(optarg, "child") != 0 && strcmp(optarg, "parent") != 0)
				usage_error("--writer: '%s' is neither child nor parent", optarg);
			parent_writes = strcmp(optarg, "parent") == 0;
			break;
		case 's': sharing = MAP_SHARED; break;
		case 'x': no_stop = true; break;
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("memory-is-copied takes no such option");
		}
	}
	if (optind != argc)
		usage_error("'%s' is not an option", argv[optind]);
	if (page >= pages)
		usage_error("--page: there is no page %ld among %ld", page, pages);
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	take_role("parent");
	array = map_array("array", (size_t)pages * page_size, sharing);
	madvise((void *)array, (size_t)pages * page_size, MADV_NOHUGEPAGE);	/* EINVAL: a kernel without THP */
	for (long i = 0; i < pages; i++)
		array[(size_t)i * page_size / sizeof(*array)] = OLD;
	say("filled %zu", (size_t)pages * page_size);
	phase_ends();
	pid = fork();
	if (pid < 0)
		refused("fork");
	if (pid == 0) {
		take_role("child");
		say("child ready");
		phase_ends();
		take_turn("child", !parent_writes);
		say("child sees %lu", (unsigned long)*written_word());
		_exit(0);
	}
	say("forked %d", pid);
	phase_ends();
	take_turn("parent", parent_writes);
	if (waitpid(pid, NULL, 0) < 0)
		refused("waitpid");
	say("parent sees %lu", (unsigned long)*written_word());
	phase_ends();
	write_alone();
	return 0;
}

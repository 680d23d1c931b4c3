// SPDX-License-Identifier: MIT
/*
 * hog: takes memory and keeps it. It stands for the other service on the machine, which is entitled to what it has.
 */
#include <getopt.h>

#include "phases.h"

static const char help[] =
	"usage: hog [--fill word|page] [--no-stop] SIZE\n"
	"Takes SIZE bytes (200M), writes to every page, and keeps them until it is killed.\n"
	"\n"
	"  --fill HOW   what a page is filled with: word (one word, fast), page (all of it, does not compress)\n"
	"  --no-stop    do not stop when the memory is taken, only wait\n"
	"\n"
	"Lines: 'region hog START LENGTH', 'hogging BYTES' (then it stops until SIGCONT, and sleeps for ever after).\n"
	"Exit status: 64 wrong call, 71 the kernel refused the memory: 'mmap: ENOMEM'.\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "fill", required_argument, NULL, 'f' }, { "no-stop", no_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE), pages, size;
	bool whole_pages = false, no_stop = false;
	volatile uint64_t *array;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			if (strcmp(optarg, "word") != 0 && strcmp(optarg, "page") != 0)
				wrong_call("--fill: '%s' is neither word nor page", optarg);
			whole_pages = strcmp(optarg, "page") == 0;
			break;
		case 'x': no_stop = true; break;
		case 'h': fputs(help, stdout); return 0;
		default: wrong_call("hog takes no such option");
		}
	}
	if (optind != argc - 1)
		wrong_call("hog needs one SIZE");
	size = size_of("SIZE", argv[optind]);
	pages = size / page_size;
	if (pages == 0)
		wrong_call("SIZE is at least a page, %zu bytes", page_size);
	take_role("hog");
	array = map_array("hog", pages * page_size, MAP_PRIVATE);
	for (size_t page = 0; page < pages; page++)
		(whole_pages ? fill_page : write_page)(array, page, 1);
	say("hogging %zu", pages * page_size);
	if (!no_stop)
		stop_here();
	for (;;)
		pause();
}

// SPDX-License-Identifier: MIT
/*
 * hog: takes memory and keeps it. It stands for another service on the machine, which has a right to its memory.
 */
#include <getopt.h>
#include <malloc.h>

#include "phases.h"

static const char help[] =
	"usage: hog [--fill word|page] [--blocks BYTES] [--no-stop] SIZE\n"
	"Takes SIZE bytes (200M), writes to every page, and keeps them until it is killed.\n"
	"\n"
	"  --fill HOW   what a page is filled with: word (one word, fast), page (all of it, does not compress)\n"
	"  --blocks N   take it as a service would, by malloc in blocks of N bytes; malloc's own words before each block\n"
	"               cost a page more a block, as they do for any program (no region line then)\n"
	"  --no-stop    do not stop when the memory is taken, only wait\n"
	"\n"
	"Lines: 'region hog START LENGTH', 'hogging BYTES' (then it stops until SIGCONT, and sleeps for ever after).\n"
	"Exit status: 64 usage error, 71 the kernel refused the memory: 'mmap: ENOMEM'.\n";

/* glibc gives each large block a mapping of its own (M_MMAP_THRESHOLD, mallopt(3)), with a header in front. */
static size_t take_blocks(size_t size, size_t block, size_t page_size, void (*touch)(volatile uint64_t *, size_t, uint64_t))
{
	size_t taken = 0;

	mallopt(M_MMAP_THRESHOLD, (int)page_size);
	for (size_t left = size; left >= page_size; left -= block < left ? block : left) {
		size_t bytes = block < left ? block : left;
		volatile uint64_t *memory = malloc(bytes);

		if (!memory)
			refused("malloc");
		for (size_t page = 0; page < bytes / page_size; page++)
			touch(memory, page, 1);
		/* The header shifts the block, so that it ends on one page more. */
		((volatile unsigned char *)memory)[bytes - 1] = 1;
		taken += bytes;
	}
	return taken;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "fill", required_argument, NULL, 'f' }, { "blocks", required_argument, NULL, 'b' },
		{ "no-stop", no_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE), pages, size, block = 0, taken;
	bool whole_pages = false, no_stop = false;
	volatile uint64_t *array;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			if (strcmp(optarg, "word") != 0 && strcmp(optarg, "page") != 0)
				usage_error("--fill: '%s' is neither word nor page", optarg);
			whole_pages = strcmp(optarg, "page") == 0;
			break;
		case 'b':
			block = size_of("--blocks", optarg);
			if (block < page_size)
				usage_error("--blocks is at least a page, %zu bytes", page_size);
			break;
		case 'x': no_stop = true; break;
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("hog takes no such option");
		}
	}
	if (optind != argc - 1)
		usage_error("hog needs one SIZE");
	size = size_of("SIZE", argv[optind]);
	pages = size / page_size;
	if (pages == 0)
		usage_error("SIZE is at least a page, %zu bytes", page_size);
	take_role("hog");
	if (block) {
		taken = take_blocks(size, block, page_size, whole_pages ? fill_page : write_page);
	} else {
		taken = pages * page_size;
		array = map_array("hog", taken, MAP_PRIVATE);
		for (size_t page = 0; page < pages; page++)
			(whole_pages ? fill_page : write_page)(array, page, 1);
	}
	say("hogging %zu", taken);
	if (!no_stop)
		stop_here();
	for (;;)
		pause();
}

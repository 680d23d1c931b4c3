// SPDX-License-Identifier: MIT
/*
 * cow-cost: measures what the first and the second write to a page cost after a fork. The first takes a page fault, in
 * which the kernel copies the page; the second is a plain store.
 */
#include <cpuid.h>
#include <getopt.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <x86intrin.h>

#include "phases.h"

static const char help[] =
	"usage: cow-cost [options]\n"
	"Times single writes with the time stamp counter (rdtsc), one page after the other: before the fork, and in the\n"
	"child the first and the second write after it.\n"
	"\n"
	"  --pages N    how many pages (256, at most 8192)\n"
	"  --write HOW  word (default): one store a page; page: every word of it, as a loop over an array does\n"
	"  --no-stop    do not stop after each phase\n"
	"\n"
	"Lines: 'hypervisor NAME' (CPUID leaf 0x40000000: 'TCGTCGTCGTCG', 'KVMKVMKVM', or 'none'), 'region array START LENGTH', 'filled BYTES' (stops), then for each of 'before' (the parent),\n"
	"'first' and 'second' (the child; 'child ready', stops before):\n"
	"  'cycles NAME FROM V V V ...'   64 values a line, from page FROM on; 'ticks' in place of 'cycles' under TCG, whose\n"
	"                                 counter is no CPU's\n"
	"  'minflt NAME COUNT'            minor faults during the whole pass\n"
	"With QEMU's instruction counter (-icount shift=N) a tick is a nanosecond of the guest's clock, 2^N of them are an\n"
	"instruction: counted, not timed, and the same in every run of the same recording.\n"
	"Exit status: 0 done, 64 usage error, 71 the kernel refused.\n";

enum { MAX_PAGES = 8192, A_LINE = 64 };

static volatile uint64_t *array;
static uint64_t cycles[MAX_PAGES];	/* written before the measurement: a page fault here would be measured too */
static const char *unit = "cycles";
static size_t page_size;
static long pages = 256;
static bool no_stop, whole_pages;

static void phase_ends(void)
{
	if (!no_stop)
		stop_here();
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static void report(const char *name, long faults)
{
	char line[A_LINE * 12 + 64];

	for (long from = 0; from < pages; from += A_LINE) {
		int length = 0;

		for (long page = from; page < pages && page < from + A_LINE; page++)
			length += snprintf(line + length, sizeof(line) - (size_t)length, " %llu",
					   (unsigned long long)cycles[page]);
		/* say() is for short lines */
		dprintf(STDOUT_FILENO, "%s %s %ld%s\n", unit, name, from, line);
	}
	say("minflt %s %ld", name, faults);
}

/* One pass: one write a page, each between two reads of the cycle counter that the CPU may not reorder with the write. */
static void measure(const char *name, uint64_t value)
{
	const size_t words = page_size / sizeof(*array);
	long faults;

	for (long page = 0; page < pages; page++)
		((volatile uint64_t *)cycles)[page] = 0;
	faults = minor_faults();
	for (long page = 0; page < pages; page++) {
		uint64_t begin, end;

		_mm_lfence();
		begin = __rdtsc();
		_mm_lfence();
		if (whole_pages)
			for (size_t word = 0; word < words; word++)
				array[(size_t)page * words + word] = value;
		else
			array[(size_t)page * words] = value;
		_mm_lfence();
		end = __rdtsc();
		cycles[page] = end - begin;
	}
	faults = minor_faults() - faults;
	report(name, faults);
}

/* Whose time stamp counter this is: QEMU's TCG and KVM name themselves in CPUID. Bit 31 of ECX of leaf 1: a hypervisor. */
static void name_hypervisor(void)
{
	unsigned int eax, name[4] = { 0 }, ebx, ecx = 0, edx;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx >> 31)
		__cpuid(0x40000000, eax, name[0], name[1], name[2]);
	say("hypervisor %s", name[0] ? (const char *)name : "none");
	if (strncmp((const char *)name, "TCG", 3) == 0)
		unit = "ticks";
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pages", required_argument, NULL, 'n' }, { "write", required_argument, NULL, 'w' },
		{ "no-stop", no_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int option;
	pid_t pid;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'n': pages = number_of("--pages", optarg, 1, MAX_PAGES); break;
		case 'w':
			if (strcmp(optarg, "word") != 0 && strcmp(optarg, "page") != 0)
				usage_error("--write: '%s' is neither word nor page", optarg);
			whole_pages = strcmp(optarg, "page") == 0;
			break;
		case 'x': no_stop = true; break;
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("cow-cost takes no such option");
		}
	}
	if (optind != argc)
		usage_error("'%s' is not an option", argv[optind]);
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	take_role("parent");
	name_hypervisor();
	array = map_array("array", (size_t)pages * page_size, MAP_PRIVATE);
	madvise((void *)array, (size_t)pages * page_size, MADV_NOHUGEPAGE);	/* EINVAL: a kernel without THP */
	for (long page = 0; page < pages; page++)
		write_page(array, (size_t)page, 1);
	say("filled %zu", (size_t)pages * page_size);
	phase_ends();
	measure("before", 2);
	pid = fork();
	if (pid < 0)
		refused("fork");
	if (pid == 0) {
		take_role("child");
		say("child ready");
		phase_ends();
		measure("first", 3);
		measure("second", 4);
		_exit(0);
	}
	if (waitpid(pid, NULL, 0) < 0)
		refused("waitpid");
	return 0;
}

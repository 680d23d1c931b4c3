/* SPDX-License-Identifier: MIT */
/*
 * What all scenario programs share: parsers of sizes ("64K") and durations ("500ms"), phases at whose end the program
 * stops so that the kernel is observed while nothing changes, and writes that the compiler may not remove.
 *
 * Exit statuses: 0 done; 64 usage error (EX_USAGE of sysexits.h); 71 the kernel refused a system call (EX_OSERR), which
 * is also printed as a line on standard output, "fork: ENOMEM".
 */
#ifndef RIG_PHASES_H
#define RIG_PHASES_H

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 64
#define EXIT_REFUSED 71

/* One write(2) a line, without a buffer: the line is out even if the next page fault kills the process. */
__attribute__((format(printf, 1, 2), unused))
static void say(const char *format, ...)
{
	char line[512];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (length > (int)sizeof(line) - 2)
		length = (int)sizeof(line) - 2;
	line[length++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)length) != length)
		_exit(EXIT_REFUSED);
}

/* End a phase: stop, so that the plan can observe the process; the plan sends SIGCONT when it is done. */
__attribute__((unused))
static void stop_here(void)
{
	kill(getpid(), SIGSTOP);
}

/* Print the refusal ("fork: ENOMEM") and exit with EX_OSERR. */
__attribute__((noreturn, unused))
static void refused(const char *call)
{
	say("%s: %s", call, strerrorname_np(errno));
	exit(EXIT_REFUSED);
}

__attribute__((noreturn, format(printf, 1, 2), unused))
static void usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("; --help says more\n", stderr);
	exit(EXIT_USAGE);
}

/* Set the comm, which the kernel's OOM report shows (at most 15 bytes: TASK_COMM_LEN without the NUL). */
__attribute__((unused))
static void take_role(const char *name)
{
	prctl(PR_SET_NAME, name);
}

/*
 * Have the kernel kill this process when its parent ends. `parent` is the parent's pid from before the fork: the parent
 * may have ended before prctl(2) took effect, and then no signal comes.
 */
__attribute__((unused))
static void end_with_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

/* Parse a size: 4096, 64K, 200M, 1G. */
__attribute__((unused))
static size_t size_of(const char *option, const char *text)
{
	static const char units[] = "KMGT";
	char *end;
	unsigned long long value;
	const char *unit;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (end == text || *text == '-' || errno)
		usage_error("%s: '%s' is not a size: write a number and one of K, M, G or T, as in 200M", option, text);
	if (*end) {
		unit = strchr(units, *end & ~0x20);
		if (!unit || end[1] || value > UINT64_MAX >> 10 * (unit - units + 1))
			usage_error("%s: '%s' is not a size: write a number and one of K, M, G or T, as in 200M",
				   option, text);
		value <<= 10 * (unit - units + 1);
	}
	return (size_t)value;
}

/* Parse a duration (30s, 500ms, 2min, 1.5) and return nanoseconds. */
__attribute__((unused))
static int64_t duration_of(const char *option, const char *text)
{
	static const struct { const char *unit; double seconds; } units[] = {
		{ "", 1 }, { "s", 1 }, { "ms", 1e-3 }, { "us", 1e-6 }, { "ns", 1e-9 },
		{ "m", 60 }, { "min", 60 }, { "h", 3600 },
	};
	char *end;
	double value = strtod(text, &end);

	for (size_t i = 0; end != text && value >= 0 && value < 1e9 && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0)
			return (int64_t)(value * units[i].seconds * 1e9 + 0.5);
	usage_error("%s: '%s' is not a duration: write a number and one of ms, s, min or h, as in 30s", option, text);
}

__attribute__((unused))
static long number_of(const char *option, const char *text, long min, long max)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || *end || errno || value < min || value > max)
		usage_error("%s: '%s' is not a number from %ld to %ld", option, text, min, max);
	return value;
}

__attribute__((unused))
static void sleep_for(int64_t ns)
{
	struct timespec left = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

/* Map memory as malloc does for a big array, and announce it to the agent: "region NAME START LENGTH". */
__attribute__((unused))
static volatile uint64_t *map_array(const char *name, size_t size, int sharing)
{
	void *array = mmap(NULL, size, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);

	if (array == MAP_FAILED)
		refused("mmap");
	say("region %s %lx %zx", name, (unsigned long)array, size);
	return array;
}

/*
 * Make the kernel allocate a page: write a word that no other page holds, so that KSM cannot merge it. The write is
 * volatile, because a compiler may drop writes to memory that nothing reads, and the program would then hold nothing.
 */
__attribute__((unused))
static void write_page(volatile uint64_t *array, size_t page, uint64_t tag)
{
	const size_t words = (size_t)sysconf(_SC_PAGESIZE) / sizeof(uint64_t);

	array[page * words] = tag << 32 | (page + 1);
}

/* Fill the whole page with words that do not compress, so that zram needs a page for it. */
__attribute__((unused))
static void fill_page(volatile uint64_t *array, size_t page, uint64_t tag)
{
	const size_t words = (size_t)sysconf(_SC_PAGESIZE) / sizeof(uint64_t);
	uint64_t value = (tag << 32 | (page + 1)) * 0x9e3779b97f4a7c15;

	for (size_t i = 0; i < words; i++) {
		/* xorshift64 (Marsaglia, 2003) */
		value ^= value << 13;
		value ^= value >> 7;
		value ^= value << 17;
		array[page * words + i] = value;
	}
}

#endif

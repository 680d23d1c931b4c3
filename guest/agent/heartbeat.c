// SPDX-License-Identifier: MIT
/*
 * The heartbeat: a small process that does what any program does (it wakes up, takes a few fresh pages, reads a page of
 * a disk) every 100 ms, and adds up how long each of these took. A guest in which its beats are late looks frozen to its
 * user, whether or not the kernel killed anything. Unlike the agent, the heartbeat is an ordinary task: neither locked
 * into memory nor real-time. Agent and heartbeat share one page, so that it costs no record and wakes nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

enum stage { AT_TIMER, AT_PAGES, AT_FILE, STAGES };

enum {
	FRESH_PAGES = 4,	/* taken and given back by each beat */
	DISK_PAGES = 64,	/* spread over the disk: each of them is read again after 6.4 s */
	PAGE = 4096,
};

/* The shared page. The heartbeat alone writes it; the agent may read it between two of its stores. */
struct beats {
	_Atomic int64_t count;
	_Atomic int64_t late[STAGES];	/* ns, over all finished beats */
	_Atomic int64_t longest;	/* ns, of one stage */
	_Atomic int64_t since;		/* ns of CLOCK_MONOTONIC: the stage in progress began, or the next beat is due */
	_Atomic int stage;
};

static struct beats *beats;
static pid_t heartbeat_pid;
static const char *const stage_names[STAGES] = { "timer", "pages", "file" };

/* ---- the process ---- */

static void finish(enum stage stage, enum stage next, int64_t now)
{
	int64_t late = now - beats->since;

	if (late > 0)
		beats->late[stage] += late;
	if (late > beats->longest)
		beats->longest = late;
	beats->since = now;
	beats->stage = next;
}

static void take_pages(volatile char *pages)
{
	for (int i = 0; i < FRESH_PAGES; i++)
		pages[i * PAGE] = 1;
	madvise((void *)pages, FRESH_PAGES * PAGE, MADV_DONTNEED);
}

/* The disk is read through the page cache of its device: no file of the program's is touched. */
static void read_disk(int fd, off_t size, int64_t beat)
{
	static char page[PAGE];
	off_t at = size / DISK_PAGES * (beat % DISK_PAGES) / PAGE * PAGE;

	while (pread(fd, page, sizeof(page), at) < 0 && errno == EINTR)
		;
}

/* argv: its name, the period in ns, and the path of a disk or nothing. Standard input is the shared page. */
int heartbeat_main(char **argv)
{
	int64_t period = argv[1] ? atoll(argv[1]) : 0, due;
	int fd = argv[1] && argv[2] ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	char *pages = mmap(NULL, FRESH_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	beats = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, STDIN_FILENO, 0);
	if (period <= 0 || beats == MAP_FAILED || pages == MAP_FAILED)
		return 1;
	prctl(PR_SET_NAME, HEARTBEAT);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);	/* a program must not reach the shared page through /proc/PID/fd */
	if (fd >= 0)
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);	/* no readahead */
	due = now_ns() + period;
	for (;;) {
		struct timespec at = { .tv_sec = due / NSEC, .tv_nsec = due % NSEC };
		int64_t now;

		beats->since = due;
		beats->stage = AT_TIMER;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
			;
		finish(AT_TIMER, AT_PAGES, now_ns());
		take_pages(pages);
		now = now_ns();
		finish(AT_PAGES, fd >= 0 ? AT_FILE : AT_TIMER, now);
		if (fd >= 0) {
			read_disk(fd, size, beats->count);
			now = now_ns();
			finish(AT_FILE, AT_TIMER, now);
		}
		beats->count++;
		due += (1 + (now > due ? now - due : 0) / period) * period;	/* missed beats are left out */
	}
}

/* ---- the agent's side ---- */

enum outcome begin_heartbeat(struct step *step)
{
	const char *every = word(step, "every"), *label = word(step, "label"), *disk = NULL;
	int64_t period = NSEC / 10;
	char number[24];
	int fd;

	if (heartbeat_pid)
		return fail(EEXIST, "the heartbeat is running");
	if (every)
		parse_seconds(every, &period);
	if (period < NSEC / 1000)
		return fail(EINVAL, "a period of less than a millisecond");
	if (label && !(disk = disk_labelled(label)))
		return fail(errno, "no disk has the label %s", label);
	fd = memfd_create(HEARTBEAT, MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, PAGE))
		return fail(errno, "memfd_create failed");
	beats = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (beats == MAP_FAILED)
		return fail(errno, "mmap failed");
	beats->since = INT64_MAX;	/* no beat is due before the process is there */
	snprintf(number, sizeof(number), "%lld", (long long)period);
	heartbeat_pid = launch_heartbeat((const char *const[]){ HEARTBEAT, number, disk, NULL }, fd, word(step, "cgroup"));
	close(fd);
	if (heartbeat_pid < 0) {
		heartbeat_pid = 0;
		return fail(errno, "%s of the heartbeat failed", launch_stage);
	}
	return STEP_DONE;
}

void heartbeat_ended(pid_t pid)
{
	if (pid == heartbeat_pid)
		heartbeat_pid = 0;
}

/* For --run: in a guest the power-off does it. */
void heartbeat_stop(void)
{
	if (heartbeat_pid && kill(heartbeat_pid, SIGKILL) == 0)
		waitpid(heartbeat_pid, NULL, 0);
	heartbeat_pid = 0;
}

/* Record how late the beats were since the start: totals, as PSI has them, with the stage that is still going on. */
void say_heartbeat(void)
{
	int stage;
	int64_t rest, longest;

	if (!heartbeat_pid)
		return;
	stage = beats->stage;
	rest = now_ns() - beats->since;
	if (rest < 0)
		rest = 0;
	longest = beats->longest;
	rec_open("heartbeat", '{');
	rec_int("beats", beats->count);
	for (int i = 0; i < STAGES; i++)
		rec_time(stage_names[i], beats->late[i] + (i == stage ? rest : 0));
	rec_time("longest", rest > longest ? rest : longest);
	rec_close('}');
}

// SPDX-License-Identifier: MIT
/*
 * The kernel's log, from now on: only to see at once that the OOM killer was invoked. The log itself is the host's to
 * read, on the console.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

static int fd = -1;
static bool reported;	/* this OOM event's record is out; its kill line is yet to come */

void kmsg_open(void)
{
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
}

int kmsg_fd(void)
{
	return fd;
}

static void said_oom(void)
{
	char text[8192];
	int64_t count = -1;

	if (slurp("/proc/vmstat", text, sizeof(text)) > 0)
		field_kb(text, "oom_kill ", &count);
	rec_begin("oom");
	rec_int("oom_kill", count);
	rec_end();
	take_sample("oom", false);
	take_pagemaps("oom");
	count_oom();
}

/*
 * dump_header() of mm/oom_kill.c opens a report with "COMM invoked oom-killer:", rate limited; __oom_kill_process()
 * then always prints "Out of memory: Killed process" or "Memory cgroup out of memory: Killed process".
 */
static void read_line(const char *line)
{
	if (strstr(line, " invoked oom-killer:")) {
		said_oom();
		reported = true;
	} else if (strstr(line, "ut of memory: Killed process") || strstr(line, "no killable processes")) {
		if (!reported)
			said_oom();
		reported = false;
	}
}

void kmsg_readable(void)
{
	char line[1024];	/* a longer record gives EINVAL and is skipped: none of those above is */
	ssize_t got;

	while ((got = read(fd, line, sizeof(line) - 1)) > 0 || errno == EINTR || errno == EPIPE || errno == EINVAL) {
		if (got <= 0)
			continue;	/* EPIPE: the buffer ran over us; the next read goes on after the gap */
		line[got] = '\0';
		read_line(line);
	}
}

// SPDX-License-Identifier: MIT
/*
 * Follow /dev/kmsg from now on, to notice at once that the OOM killer was invoked, and to relay the lines of its
 * report. The host reads the whole log on the console, but any program that runs as root can write to the console.
 * A record of /dev/kmsg names its writer: only the kernel's own messages have facility 0 (devkmsg_write() of
 * kernel/printk/printk.c replaces facility 0 by LOG_USER).
 *
 * The kernel's first lines after the plan's begin are relayed whole, so that the host can compare all of a report with
 * them. Those that announce a kill are relayed beyond that bound.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

/*
 * MOST_KERNEL is some 200 OOM reports, or ten lists of tasks by SysRq t: 2 MB of records. A bound that a guest reaches
 * in an honest run would leave its reports unconfirmed.
 */
enum { MOST_RELAYED = 2000, MOST_FOREIGN = 64, MOST_KERNEL = 20000 };

static int fd = -1;
static int relayed, foreign;
static bool wants_cpu_line;	/* of dump_stack_print_info(): it has the pid of the task that allocated */
static bool reported;	/* the record of this OOM event is sent; its kill line is still expected */

static char kernel_text[8 * 1024];	/* records of the kernel's own that wait to be relayed, one a line */
static size_t kernel_used;
static int kernel_lines, kernel_waiting;	/* how many were kept; how many of them are in kernel_text */
static int64_t kernel_left_out;
static bool relaying;	/* a plan runs: records before `go` are in the snapshot's past, and a run would miss them */

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

int kmsg_most(void)
{
	return MOST_KERNEL;
}

/* Return how many lines of the kernel's were not relayed whole: beyond the bound, or overwritten before they were read. */
int64_t kmsg_left_out(void)
{
	return kernel_left_out;
}

static void say_kernel(void)
{
	if (!kernel_used || !relaying)
		return;
	/* A list of tasks comes faster than the host reads. The room that is left is for other records: none may be lost. */
	port_flush();
	if (port_room() < PORT_BYTES / 2) {
		kernel_left_out += kernel_waiting;
	} else {
		rec_begin("kernel");
		rec_text("text", kernel_text, kernel_used);
		rec_end();
	}
	kernel_used = 0;
	kernel_waiting = 0;
}

static void keep(const char *record)
{
	size_t length = strlen(record);

	if (kernel_lines == MOST_KERNEL || length + 1 > sizeof(kernel_text)) {
		kernel_left_out++;
		return;
	}
	if (kernel_used + length + 1 > sizeof(kernel_text))
		say_kernel();
	if (kernel_used + length + 1 > sizeof(kernel_text)) {
		kernel_left_out++;
		return;
	}
	memcpy(kernel_text + kernel_used, record, length);
	kernel_text[kernel_used + length] = '\n';
	kernel_used += length + 1;
	kernel_lines++;
	kernel_waiting++;
}

/* Return how many processes the OOM killer has killed since boot (oom_kill of /proc/vmstat); -1 before Linux 4.13. */
int64_t oom_kills(void)
{
	return vmstat_count_or("oom_kill ", -1);
}

static void say_number(const char *key, const char *path)
{
	char text[32];

	if (slurp(path, text, sizeof(text)) > 0)
		rec_int(key, strtoll(text, NULL, 10));
	else
		rec_null(key);
}

void say_counted(void)
{
	rec_int("oom_kill", oom_kills());
	say_number("tainted", "/proc/sys/kernel/tainted");
	say_number("hung_tasks", "/proc/sys/kernel/hung_task_detect_count");	/* since 6.14 */
	say_refused_forks();
}

static void relay(int facility, const char *line)
{
	rec_begin("kmsg");
	rec_int("facility", facility);
	rec_text("text", line, strlen(line));
	rec_end();
}

/*
 * The kill counter of the cgroup that reached its limit. Its name is in
 * "…,oom_memcg=/service,task_memcg=/service/a,task=hog,pid=90,uid=0".
 */
static void relay_memory_events(const char *line)
{
	char path[PATH_BYTES] = "/sys/fs/cgroup", text[1024];
	const char *group = strstr(line, "oom_memcg=/");
	int64_t count;
	size_t span;

	if (!group)
		return;
	group += strlen("oom_memcg=");
	span = strcspn(group, ",");
	if (span > sizeof(path) - 64)
		return;
	strncat(path, group, span);
	strcat(path, "/memory.events");
	if (slurp(path, text, sizeof(text)) <= 0 || !field_kb(text, "oom ", &count))
		return;
	rec_begin("memory_events");
	rec_text("cgroup", group, span);
	rec_int("oom", count);
	rec_end();
}

static void said_oom(void)
{
	rec_begin("oom");
	rec_int("oom_kill", oom_kills());
	rec_end();
	take_sample("oom", false, false);
	take_pagemaps("oom");
	count_oom();
}

/*
 * dump_header() of mm/oom_kill.c opens a report with "COMM invoked oom-killer:", rate limited; __oom_kill_process()
 * then always prints "Out of memory: Killed process", "Memory cgroup out of memory: Killed process" or
 * "Out of memory (oom_kill_allocating_task): Killed process".
 */
static void read_line(const char *line)
{
	bool invoked = strstr(line, " invoked oom-killer:"), killed = strstr(line, "ut of memory") && strstr(line, ": Killed process "),
	     chosen = strncmp(line, "oom-kill:", 9) == 0, nobody = strstr(line, "no killable processes"),
	     group = strstr(line, "are going to be killed due to memory.oom.group set"),
	     cpu = wants_cpu_line && strncmp(line, "CPU:", 4) == 0;

	if (!invoked && !killed && !chosen && !nobody && !group && !cpu)
		return;
	wants_cpu_line = invoked;
	if (relayed < MOST_RELAYED) {
		relayed++;
		relay(0, line);
	}
	if (chosen)
		relay_memory_events(line);
	if (invoked) {
		said_oom();
		reported = true;
	} else if (killed || nobody) {
		if (!reported)
			said_oom();
		reported = false;
	}
}

/* A record is "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT", then lines that begin with a blank (devkmsg_read()). */
static void read_record(char *record)
{
	char *text = strchr(record, ';'), *end;
	long priority = strtol(record, NULL, 10);

	if (!text)
		return;
	text++;
	end = strchr(text, '\n');
	if (end)
		*end = '\0';
	if (priority >> 3 == 0) {
		keep(record);
		read_line(text);
	} else if (foreign < MOST_FOREIGN && strncmp(text, "rig: mark ", 10) != 0) {
		foreign++;
		relay((int)(priority >> 3), text);
	}
}

/* Relay from now on, with what the kernel has printed before. */
void kmsg_relay(void)
{
	relaying = true;
	say_kernel();
}

void kmsg_readable(void)
{
	static char line[8 * 1024];	/* CONSOLE_EXT_LOG_MAX; since 6.4 PRINTK_MESSAGE_MAX, which is less */
	ssize_t got;

	while ((got = read(fd, line, sizeof(line) - 1)) > 0 || errno == EINTR || errno == EPIPE || errno == EINVAL) {
		if (got <= 0) {
			/* EPIPE: records were overwritten; the next read continues after the gap. EINVAL: too long a record. */
			kernel_left_out += errno != EINTR;
			continue;
		}
		line[got] = '\0';
		read_record(line);
	}
	say_kernel();
}

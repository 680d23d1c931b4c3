// SPDX-License-Identifier: MIT
/* Events that the kernel counts for the agent: perf events on tracepoints, which no program can change or reset. */
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

/* A detached mount of tracefs, while identifiers are read. */
static int tracefs = -1;

static void open_tracefs(void)
{
	int context = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);

	if (context < 0)
		return;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		tracefs = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	close(context);
}

static void close_tracefs(void)
{
	if (tracefs >= 0)
		close(tracefs);
	tracefs = -1;
}

/* Return the identifier of a tracepoint, as "exceptions/page_fault_user"; 0 if this kernel does not have it. */
long tracepoint_id(const char *name)
{
	char path[96], text[32];
	long id = 0;
	int fd;

	snprintf(path, sizeof(path), "events/%s/id", name);
	fd = tracefs < 0 ? -1 : openat(tracefs, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (reread(fd, text, sizeof(text)) > 0)
		id = strtol(text, NULL, 10);
	close(fd);
	return id;
}

static int count_one(struct perf_event_attr event, pid_t thread, int cpu, const char *filter)
{
	int fd;

	event.size = sizeof(event);
	event.disabled = 1;
	fd = (int)syscall(SYS_perf_event_open, &event, thread, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -1;
	if ((filter && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter)) || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * Count an event of a thread from now on, and of what it and those create: processes too, or only threads of the same
 * process. Returns a descriptor for event_count(), or -1. A kernel before 5.13 cannot count threads without processes
 * (inherit_thread, commit 2b26f0aa0049): EINVAL.
 */
int count_of_thread(pid_t thread, uint32_t type, uint64_t config, const char *filter, bool processes)
{
	const struct perf_event_attr event = { .type = type, .config = config, .inherit = 1, .inherit_thread = !processes };

	return count_one(event, thread, -1, filter);
}

/* Count an event of a thread alone. */
int count_of_one_thread(pid_t thread, uint32_t type, uint64_t config)
{
	return count_one((struct perf_event_attr){ .type = type, .config = config }, thread, -1, NULL);
}

/* Count a tracepoint on every CPU from now on, whoever reaches it. Returns false where the kernel cannot. */
bool count_everywhere(struct everywhere *all, long id, const char *filter)
{
	const struct perf_event_attr event = { .type = PERF_TYPE_TRACEPOINT, .config = (uint64_t)id };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	all->count = 0;
	all->whole = id > 0 && cpus <= MAX_CPUS;
	for (int cpu = 0; cpu < cpus && all->whole; cpu++) {
		int fd = count_one(event, -1, cpu, filter);

		all->whole = fd >= 0;
		if (all->whole)
			all->fds[all->count++] = fd;
	}
	return all->whole;
}

int64_t count_of_all(const struct everywhere *all)
{
	int64_t sum = 0;

	for (int i = 0; i < all->count; i++)
		sum += event_count(all->fds[i]);
	return sum;
}

int64_t event_count(int fd)
{
	int64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* Start to count what is counted of all processes, and find what is counted later of one: before any program starts. */
void prepare_counts(void)
{
	open_tracefs();
	prepare_first_maps();
	watch_forks();
	prepare_ends();
	close_tracefs();
}

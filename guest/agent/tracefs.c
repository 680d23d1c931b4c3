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

void open_tracefs(void)
{
	int context = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);

	if (context < 0)
		return;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		tracefs = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	close(context);
}

void close_tracefs(void)
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

/*
 * Count an event of a process (cpu -1), or of all processes on one CPU (pid -1), from now on. Returns a descriptor for
 * event_count(), or -1.
 */
int count_event(pid_t pid, int cpu, uint32_t type, uint64_t config, const char *filter)
{
	struct perf_event_attr event = { .type = type, .size = sizeof(event), .config = config, .disabled = 1 };
	int fd = (int)syscall(SYS_perf_event_open, &event, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return -1;
	if ((filter && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter)) || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

int64_t event_count(int fd)
{
	int64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

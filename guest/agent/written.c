// SPDX-License-Identifier: MIT
/*
 * Who wrote to files of the kernel that the plan had set. A program may change one and set it back before the agent reads
 * it again. vfs_write() of fs/read_write.c tells inotify(7) of each write(2), of whatever process, to the inode that the
 * programs see. (The agent's own mount of /proc has other inodes; those of sysfs and cgroups are the same.)
 */
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent.h"

enum { MAX_WATCHES = 256 };

static int fd = -1;
static unsigned int writes[MAX_WATCHES];	/* by the watch's number */

static void collect(void)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t got;

	while ((got = read(fd, events, sizeof(events))) > 0)
		for (const char *at = events; at < events + got;) {
			const struct inotify_event *event = (const struct inotify_event *)at;

			if (event->wd > 0 && event->wd < MAX_WATCHES)
				writes[event->wd]++;
			at += sizeof(*event) + event->len;
		}
}

/* Count the writes to a file from now on. Returns the number of its watch, which is the same for the same file, or 0. */
int watch_writes(const char *path)
{
	int watch;

	if (fd < 0)
		fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	watch = inotify_add_watch(fd, path, IN_MODIFY);
	return watch > 0 && watch < MAX_WATCHES ? watch : 0;
}

/* Return how many writes there were; those that the kernel joined, because they followed one another, count as one. */
unsigned int writes_of(int watch)
{
	collect();
	return writes[watch];
}

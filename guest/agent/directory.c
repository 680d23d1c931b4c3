// SPDX-License-Identifier: MIT
/* Directories of /proc, without the malloc(3) of readdir(3). */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

/* Call `each` with every name in the directory that is a number, and with `with`. */
void each_number(const char *path, void (*each)(pid_t number, void *with), void *with)
{
	char buf[2048] __attribute__((aligned(8)));
	int fd = open_file(path, O_RDONLY | O_DIRECTORY);
	long got;

	while (fd >= 0 && (got = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < got;) {
			/* struct linux_dirent64 of getdents(2): ino 8, off 8, reclen 2, type 1, name */
			const char *name = buf + at + 19;
			uint16_t length;

			memcpy(&length, buf + at + 16, sizeof(length));
			at += length;
			if (*name >= '0' && *name <= '9')
				each((pid_t)atoi(name), with);
		}
	if (fd >= 0)
		close(fd);
}

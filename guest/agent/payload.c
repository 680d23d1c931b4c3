// SPDX-License-Identifier: MIT
/*
 * The payload is the go: a filesystem that appears on a device which was empty when the guest said that it is ready.
 * The guest may have been saved and restored in between, over another file of the same size.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent.h"

/* rig.payload=pmem or vd: the first such device that is not the root's; or a path. Default: of the root's kind. */
static const char *payload_device(void)
{
	static char path[64];
	const char *asked = cmdline("rig.payload"), *kind = asked ? asked : root_device + 5;

	if (*kind == '/') {
		copy_name(path, sizeof(path), kind);
		return path;
	}
	if (strncmp(kind, "pmem", 4) == 0)
		return strcmp(root_device, "/dev/pmem0") == 0 ? "/dev/pmem1" : "/dev/pmem0";
	return strcmp(root_device, "/dev/vda") == 0 ? "/dev/vdb" : "/dev/vda";
}

/* Direct I/O reads what the device holds now; without it the cache is emptied before each look. */
static int open_around_cache(const char *device, bool *direct)
{
	int fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);

	*direct = fd >= 0;
	if (fd < 0)
		fd = open(device, O_RDONLY | O_CLOEXEC);
	return fd;
}

void wait_for_payload(void)
{
	const char *device = payload_device(), *type;
	bool direct;
	int fd;

	if (!wait_for_device(device, 10 * NSEC))
		die(device);
	fd = open_around_cache(device, &direct);
	if (fd < 0)
		die(device);
	for (;;) {
		int64_t next = now_ns() + NSEC;

		if (!direct && ioctl(fd, BLKFLSBUF, 0))
			die("BLKFLSBUF of the payload device");
		type = filesystem_on(fd);
		if (type)
			break;
		while (now_ns() < next)
			loop_once(next);
	}
	/* A partition scan has left pages of the empty device in its cache. */
	if (ioctl(fd, BLKFLSBUF, 0))
		die("BLKFLSBUF of the payload device");
	close(fd);
	if (!mount_image(device, payload_dir, type, MS_NOSUID | MS_NODEV))
		die("mount of the payload");
}

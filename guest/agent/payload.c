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

enum { MOST_DEVICES = 8 };

struct device {
	char path[64];
	int fd;
	bool direct;
};

static struct device devices[MOST_DEVICES];
static int device_count;

/* Direct I/O reads what the device holds now; without it the cache is emptied before each look. */
static void add_device(const char *path)
{
	struct device *device = &devices[device_count];

	if (device_count == MOST_DEVICES || strcmp(path, root_device) == 0 || access(path, F_OK))
		return;
	copy_name(device->path, sizeof(device->path), path);
	device->fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	device->direct = device->fd >= 0;
	if (device->fd < 0)
		device->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (device->fd < 0)
		die(path);
	device_count++;
}

/*
 * rig.payload=pmem or vd: the devices of that kind that are not the root's; or a path. Default: of the root's kind.
 * Those of layers (surroundings.c) are among them; what lies on a device tells which it is.
 */
static void find_devices(void)
{
	const char *asked = cmdline("rig.payload"), *kind = asked ? asked : root_device + 5;
	int64_t until = now_ns() + 10 * NSEC;
	bool pmem = strncmp(kind, "pmem", 4) == 0;
	char path[64];

	while (device_count == 0) {
		if (*kind == '/') {
			copy_name(path, sizeof(path), kind);
			add_device(path);
		}
		for (int i = 0; *kind != '/' && i < MOST_DEVICES; i++) {
			snprintf(path, sizeof(path), pmem ? "/dev/pmem%d" : "/dev/vd%c", pmem ? i : 'a' + i);
			add_device(path);
		}
		if (device_count == 0 && now_ns() > until) {
			errno = ENODEV;
			die("payload device");
		}
		if (device_count == 0)
			usleep(10000);
	}
}

/* A filesystem that is no layer's. Returns its type, or NULL. */
static const char *payload_on(const struct device *device)
{
	char label[LABEL_BYTES];
	const char *type;

	if (!device->direct && ioctl(device->fd, BLKFLSBUF, 0))
		die("BLKFLSBUF of the payload device");
	type = filesystem_on(device->fd, label);
	return type && !is_layer(label) ? type : NULL;
}

void wait_for_payload(void)
{
	const struct device *found = NULL;
	const char *type = NULL;

	find_devices();
	while (!found) {
		int64_t next = now_ns() + NSEC;

		for (int i = 0; i < device_count && !found; i++)
			if ((type = payload_on(&devices[i])))
				found = &devices[i];
		while (!found && now_ns() < next)
			loop_once(next);
	}
	/* A partition scan has left pages of the empty device in its cache. */
	if (ioctl(found->fd, BLKFLSBUF, 0))
		die("BLKFLSBUF of the payload device");
	for (int i = 0; i < device_count; i++)
		close(devices[i].fd);
	if (!mount_image(found->path, payload_dir, type, MS_NOSUID | MS_NODEV))
		die("mount of the payload");
}

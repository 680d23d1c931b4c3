// SPDX-License-Identifier: MIT
/*
 * Wait for the payload, which is also the signal to start: a filesystem appears on a device that was empty at READY.
 * In between the guest may have been saved to a snapshot and restored with another file of the same size behind the
 * device.
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

/* O_DIRECT reads the device and not the page cache. Where it is not supported the cache is dropped before each read. */
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
 * rig.payload=pmem or vd: all devices of that kind except the root's; or the path of one. Default: the root's kind.
 * Devices of layers (surroundings.c) are among them: the filesystem's label tells a layer from the payload.
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

/* Return the type of a filesystem that is not a layer, or NULL. */
static const char *payload_on(const struct device *device)
{
	char label[LABEL_BYTES];
	const char *type;

	if (!device->direct && ioctl(device->fd, BLKFLSBUF, 0))
		die("BLKFLSBUF of the payload device");
	type = filesystem_on(device->fd, label);
	return type && !is_layer(label) ? type : NULL;
}

/* The device for a continuation is the one that holds no filesystem once payload and layers are there. */
static void find_continuation(const struct device *payload)
{
	char label[LABEL_BYTES];

	for (int i = 0; i < device_count; i++)
		if (&devices[i] != payload && devices[i].direct && !filesystem_on(devices[i].fd, label))
			branch_open(devices[i].path, devices[i].fd);
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
	/* The partition scan at boot has cached pages of the device while it was empty. */
	if (ioctl(found->fd, BLKFLSBUF, 0))
		die("BLKFLSBUF of the payload device");
	find_continuation(found);
	for (int i = 0; i < device_count; i++)
		close(devices[i].fd);
	if (!mount_image(found->path, payload_dir, type, MS_NOSUID | MS_NODEV))
		die("mount of the payload");
}

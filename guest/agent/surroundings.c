// SPDX-License-Identifier: MIT
/*
 * The root filesystem of a program: an overlayfs of read-only layers (NVDIMMs and directories) under a tmpfs that takes
 * the writes, with /proc, /dev and the like mounted in it. The agent stays in its own root; the program is chrooted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

#define ROOTS "/run/rig/roots"
#define LAYERS "/run/rig/layers"

/* Return the path of the root of that name, as the agent sees it; NULL when there is none. */
const char *root_path(const char *name)
{
	static char path[PATH_BYTES];

	snprintf(path, sizeof(path), ROOTS "/%s", name);
	return access(path, F_OK) ? NULL : path;
}

/* Drop the kernel's cached pages of the device: the guest may have been saved to a snapshot while it was blank. */
static const char *fresh_filesystem(const char *device, char *label)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	const char *type = NULL;

	if (fd >= 0) {
		if (ioctl(fd, BLKFLSBUF, 0) == 0)
			type = filesystem_on(fd, label);
		close(fd);
	}
	return type;
}

/* Mount the layer with that label, once. Returns 0, or -1 with errno; ENODEV when no device has the label. */
static int mount_layer(const char *label, const char *where)
{
	char found[LABEL_BYTES];

	if (access(where, F_OK) == 0)
		return 0;
	for (int i = 0; image_devices[i]; i++) {
		const char *type = fresh_filesystem(image_devices[i], found);

		if (!type || strcmp(found, label) != 0)
			continue;
		if (make_dirs(where))
			return -1;
		return mount_image(image_devices[i], where, type, 0) ? 0 : -1;
	}
	errno = ENODEV;
	return -1;
}

/* Build overlayfs's lowerdir= from the step's layers, the uppermost first. Returns what failed, or NULL. */
static const char *lower_layers(const struct step *step, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "lowerdir=");

	for (int i = 0; i < step->count; i++) {
		const char *value = step->words[i].value;
		char where[PATH_BYTES];

		if (strcmp(step->words[i].key, "layer") != 0)
			continue;
		if (strncmp(value, "{payload}", 9) == 0) {
			snprintf(where, sizeof(where), "%s%s", payload_dir, value + 9);
		} else if (*value == '/') {
			copy_name(where, sizeof(where), value);
		} else {
			snprintf(where, sizeof(where), LAYERS "/%s", strchr(value, ':') ? strchr(value, ':') + 1 : value);
			if (mount_layer(value, where))
				return value;
		}
		used += (size_t)snprintf(text + used, size - used, "%s%s", text[used - 1] == '=' ? "" : ":", where);
		if (used >= size) {
			errno = ENAMETOOLONG;
			return value;
		}
	}
	return NULL;
}

static int mount_at(const char *root, const char *below, const char *type, unsigned long flags, const char *options)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", root, below);
	if (make_dirs(path))
		return -1;
	return mount(type, path, type, flags, options);
}

/* Whether a directory holds anything; false where it is not there. */
static bool holds_anything(const char *path)
{
	const struct dirent *entry;
	bool found = false;
	DIR *directory = opendir(path);

	while (directory && !found && (entry = readdir(directory)))
		found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (directory)
		closedir(directory);
	return found;
}

/* Mount a tmpfs on /tmp, unless the root has files there, which it would hide: a program may be one of them. */
static int make_tmp(const char *root, const char *size)
{
	char path[PATH_BYTES], options[64];

	snprintf(path, sizeof(path), "%s/tmp", root);
	if (holds_anything(path))
		return chmod(path, 01777);
	snprintf(options, sizeof(options), "mode=1777,size=%s", size);
	return mount_at(root, "tmp", "tmpfs", MS_NOSUID | MS_NODEV, options);
}

/* Mount the kernel's filesystems and make the directories that programs expect. Returns what failed, or NULL. */
static const char *furnish(const char *root, const char *tmp_size)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/dev", root);
	if (make_dirs(path) || mount("/dev", path, NULL, MS_BIND | MS_REC, NULL))
		return "/dev";
	if (mount_at(root, "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return "/proc";
	if (mount_at(root, "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return "/sys";
	/* No error here, because not every kernel has cgroup v2: a step that needs a cgroup will fail and name it. */
	snprintf(path, sizeof(path), "%s" CGROUPS, root);
	if (cgroup_v1 ? mount(CGROUPS, path, NULL, MS_BIND | MS_REC, NULL) : mount_cgroup2(path) && errno != ENODEV)
		return "/sys/fs/cgroup";
	if (make_tmp(root, tmp_size))
		return "/tmp";
	snprintf(path, sizeof(path), "%s/work", root);
	if (make_dirs(path) || chmod(path, 01777))
		return "/work";
	snprintf(path, sizeof(path), "%s/run", root);
	return make_dirs(path) ? "/run" : NULL;
}

/* Set lo up, so that a server is reached at 127.0.0.1: the kernel assigns that address when lo comes up. */
static int loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;
	bool failed;

	if (sock < 0)
		return errno == EAFNOSUPPORT ? 0 : -1;	/* a kernel without a network */
	failed = ioctl(sock, SIOCGIFFLAGS, &request) < 0;
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	failed = failed || ioctl(sock, SIOCSIFFLAGS, &request) < 0;
	err = errno;
	close(sock);
	errno = err;
	return failed ? -1 : 0;
}

enum outcome begin_root(struct step *step)
{
	const char *name = word(step, "name"), *hostname = word(step, "hostname"), *tmp = word(step, "tmp"), *bad;
	char root[PATH_BYTES], own[PATH_BYTES], options[4 * PATH_BYTES], writable[3 * PATH_BYTES];

	if (strchr(name, '/') || *name == '.')
		return fail(EINVAL, "'%s' is not the name of a root", name);
	if (root_path(name))
		return fail(EEXIST, "the root %s is there already", name);
	bad = lower_layers(step, options, sizeof(options) - sizeof(writable));
	if (bad)
		return fail(errno, "layer %s cannot be mounted", bad);
	snprintf(root, sizeof(root), ROOTS "/%s", name);
	/* A separate tmpfs for the upper layer: overlayfs does not accept an overlayfs there. */
	snprintf(own, sizeof(own), "/run/rig/written/%s", name);
	if (make_dirs(own) || mount("written", own, "tmpfs", 0, "mode=0755,size=50%"))
		return fail(errno, "mount of a tmpfs failed");
	snprintf(writable, sizeof(writable), ",upperdir=%s/upper,workdir=%s/work", own, own);
	strcat(options, writable);
	strcat(own, "/upper");
	if (mkdir(own, 0755))
		return fail(errno, "mkdir of %s failed", own);
	strcpy(own + strlen(own) - strlen("upper"), "work");
	if (mkdir(own, 0755) || make_dirs(root))
		return fail(errno, "mkdir of %s failed", root);
	if (mount("root", root, "overlay", 0, options))
		return fail(errno, "mount of the overlay failed");
	bad = furnish(root, tmp ? tmp : "50%");
	if (bad)
		return fail(errno, "%s of the root %s cannot be had", bad, name);
	if (loopback_up())
		return fail(errno, "the loopback interface does not come up");
	if (hostname && sethostname(hostname, strlen(hostname)))
		return fail(errno, "sethostname failed");
	rec_begin("root");
	rec_str("name", name);
	rec_bool("dax", root_has_dax);
	rec_end();
	return STEP_DONE;
}

/* Return the image device that holds an ext4 with that label; NULL with errno when none does. */
const char *disk_labelled(const char *label)
{
	char found[LABEL_BYTES];

	for (int i = 0; image_devices[i]; i++) {
		const char *type = fresh_filesystem(image_devices[i], found);

		if (type && strcmp(type, "ext4") == 0 && strcmp(found, label) == 0)
			return image_devices[i];
	}
	errno = ENODEV;
	return NULL;
}

/* Mount a disk for writing, in a program's root or in the agent's. Its files are page cache, unlike those of a layer. */
enum outcome begin_mount(struct step *step)
{
	const char *label = word(step, "label"), *path = word(step, "path"), *root = word(step, "root"), *device;
	char where[PATH_BYTES];

	if (*path != '/' || strstr(path, ".."))
		return fail(EINVAL, "'%s' is not an absolute path", path);
	if (root && !root_path(root))
		return fail(ENOENT, "there is no root %s: a step `root` makes it", root);
	device = disk_labelled(label);
	if (!device)
		return fail(errno, "no disk has the label %s", label);
	snprintf(where, sizeof(where), "%s%s", root ? root_path(root) : "", path);
	if (make_dirs(where))
		return fail(errno, "mkdir of %s failed", path);
	if (mount(device, where, "ext4", MS_NOSUID | MS_NODEV, NULL))
		return fail(errno, "mount of %s failed", device);
	if (chmod(where, 01777))
		return fail(errno, "chmod of %s failed", path);
	rec_begin("mount");
	rec_str("label", label);
	rec_str("device", device);
	rec_str("path", path);
	rec_end();
	return STEP_DONE;
}

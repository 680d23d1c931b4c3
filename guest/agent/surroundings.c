// SPDX-License-Identifier: MIT
/*
 * The root filesystem of a program: layers of NVDIMMs and folders, read-only, under a tmpfs that takes what is written
 * (overlayfs), with what a program expects around itself. The agent stays in its own root; the program is chrooted.
 */
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

/* Where the root of that name lies in the agent's own. Returns NULL when there is none. */
const char *root_path(const char *name)
{
	static char path[PATH_BYTES];

	snprintf(path, sizeof(path), ROOTS "/%s", name);
	return access(path, F_OK) ? NULL : path;
}

/* A guest may have been saved while the device was blank: what the kernel has cached of it is thrown away. */
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

/* Mounts the layer with that label, once. Returns 0, or -1 with errno: ENODEV where no device has it. */
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

/* The layers of the step as overlayfs has them, the uppermost first. Returns what failed, or NULL. */
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

/* The kernel's filesystems, and the folders that a program may take for granted. Returns what failed, or NULL. */
static const char *furnish(const char *root, const char *tmp_size)
{
	char path[PATH_BYTES], options[64];

	snprintf(path, sizeof(path), "%s/dev", root);
	if (make_dirs(path) || mount("/dev", path, NULL, MS_BIND | MS_REC, NULL))
		return "/dev";
	if (mount_at(root, "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return "/proc";
	if (mount_at(root, "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return "/sys";
	/* Not every kernel has it; a step that needs a cgroup will say so. */
	if (mount_at(root, "sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) && errno != ENODEV)
		return "/sys/fs/cgroup";
	snprintf(options, sizeof(options), "mode=1777,size=%s", tmp_size);
	if (mount_at(root, "tmp", "tmpfs", MS_NOSUID | MS_NODEV, options))
		return "/tmp";
	snprintf(path, sizeof(path), "%s/work", root);
	if (make_dirs(path) || chmod(path, 01777))
		return "/work";
	snprintf(path, sizeof(path), "%s/run", root);
	return make_dirs(path) ? "/run" : NULL;
}

/* A program that serves others is reached by 127.0.0.1: the kernel gives lo its address when it comes up. */
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
	/* A tmpfs of its own: overlayfs takes no overlayfs for its upper layer. */
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

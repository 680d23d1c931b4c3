// SPDX-License-Identifier: MIT
/* Find the root filesystem, mount it with a small tmpfs above it, enter it, and free the initramfs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

char root_device[32];
char root_filesystem[64];	/* "ext4 on /dev/pmem0" */
bool root_has_dax;

/* The kinds of device on which root, payload and layers may be. */
const char *const image_devices[] = { "/dev/pmem0", "/dev/pmem1", "/dev/pmem2", "/dev/pmem3", "/dev/pmem4",
				      "/dev/pmem5", "/dev/vda", "/dev/vdb", "/dev/vdc", NULL };

/* Wait for a device node: drivers probe asynchronously. */
bool wait_for_device(const char *path, int64_t ns)
{
	const struct timespec pause = { .tv_nsec = NSEC / 100 };
	int64_t until = now_ns() + ns;

	while (access(path, F_OK)) {
		if (now_ns() >= until) {
			errno = ENODEV;
			return false;
		}
		nanosleep(&pause, NULL);
	}
	return true;
}

/*
 * Return the filesystem's type, NULL for none of the known ones.
 * squashfs has "hsqs" at 0. erofs (fs/erofs/erofs_fs.h) and ext4 have their superblock at 1024. Ext4 has its magic 56
 * and its label 120 bytes into the superblock (s_magic, s_volume_name of fs/ext4/ext4.h).
 * label: LABEL_BYTES; empty for a filesystem without a label.
 */
const char *filesystem_on(int fd, char *label)
{
	static char block[4096] __attribute__((aligned(4096)));
	static const unsigned char erofs[] = { 0xe2, 0xe1, 0xf5, 0xe0 }, ext4[] = { 0x53, 0xef };

	label[0] = '\0';
	if (pread(fd, block, sizeof(block), 0) != sizeof(block))
		return NULL;
	if (memcmp(block, "hsqs", 4) == 0)
		return "squashfs";
	if (memcmp(block + 1024, erofs, sizeof(erofs)) == 0)
		return "erofs";
	if (memcmp(block + 1024 + 56, ext4, sizeof(ext4)) == 0) {
		memcpy(label, block + 1024 + 120, LABEL_BYTES - 1);
		label[LABEL_BYTES - 1] = '\0';
		return "ext4";
	}
	return NULL;
}

/* Whether the label marks a layer of a program's root: such a device is neither the guest's root nor the payload. */
bool is_layer(const char *label)
{
	return strncmp(label, "rig:", 4) == 0;
}

/*
 * With DAX a program's text is mapped directly from the NVDIMM. It takes no page cache, so the kernel cannot reclaim it
 * when memory is short. Without DAX that reclaim spoils the experiment: a process whose text was evicted must read it
 * again, squashfs allocates for that read with GFP_NOIO, and such an allocation loops without ever invoking the OOM
 * killer (__alloc_pages_may_oom() of mm/page_alloc.c).
 */
bool mount_image(const char *device, const char *where, const char *type, unsigned long flags)
{
	if (strcmp(type, "squashfs") != 0 && strncmp(device, "/dev/pmem", 9) == 0 &&
	    mount(device, where, type, MS_RDONLY | flags, "dax=always") == 0)
		return true;
	return mount(device, where, type, MS_RDONLY | flags, NULL) == 0;
}

/* Whether DAX is in force, as the kernel reports it (STATX_ATTR_DAX): the mount option alone does not prove it. */
bool has_dax(const char *file)
{
	struct statx st;

	return statx(AT_FDCWD, file, 0, STATX_BASIC_STATS, &st) == 0 && (st.stx_attributes & STATX_ATTR_DAX);
}

/* Whether it is a root filesystem: a payload has neither /bin nor /usr, so its device is not taken for the root. */
static bool try_root(const char *device)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	char label[LABEL_BYTES] = "";
	const char *type = fd >= 0 ? filesystem_on(fd, label) : NULL;

	if (fd >= 0)
		close(fd);
	if (!type || is_layer(label) || !mount_image(device, "/rig/lower", type, 0))
		return false;
	if (access("/rig/lower/bin", F_OK) && access("/rig/lower/usr", F_OK)) {
		umount("/rig/lower");
		return false;
	}
	copy_name(root_device, sizeof(root_device), device);
	snprintf(root_filesystem, sizeof(root_filesystem), "%s on %s", type, device);
	root_has_dax = has_dax("/rig/lower/bin/busybox");
	return true;
}

/* The kernel may number NVDIMMs in another order than QEMU, so root and payload are told apart by their contents. */
static bool find_root(void)
{
	const struct timespec pause = { .tv_nsec = NSEC / 100 };
	const char *asked = cmdline("rig.root");
	int64_t until = now_ns() + 10 * NSEC;

	do {
		for (int i = 0; image_devices[i]; i++) {
			if (asked && strncmp(image_devices[i] + 5, asked, 2) != 0)
				continue;
			if (try_root(image_devices[i]))
				return true;
		}
		nanosleep(&pause, NULL);
	} while (now_ns() < until);
	errno = ENODEV;
	return false;
}

void mount_root(void)
{
	make_dirs("/rig/lower");
	make_dirs("/rig/rw");
	make_dirs("/rig/new");
	if (!find_root())
		die("no root filesystem (ext4, erofs or squashfs) on any device");
	if (mount("rw", "/rig/rw", "tmpfs", 0, "mode=0755,size=50%"))
		die("mount of a tmpfs");
	mkdir("/rig/rw/upper", 0755);
	mkdir("/rig/rw/work", 0755);
	keep_optional_modules("/rig/rw/upper/modules");
	if (mount("root", "/rig/new", "overlay", 0, "lowerdir=/rig/lower,upperdir=/rig/rw/upper,workdir=/rig/rw/work"))
		die("mount of the overlay");
}

/* Free the initramfs: delete all files of that filesystem, and none of the filesystems mounted on it. */
static void empty_directory(int directory, dev_t device)
{
	char buf[2048] __attribute__((aligned(8)));
	long got;

	while ((got = syscall(SYS_getdents64, directory, buf, sizeof(buf))) > 0)
		for (long at = 0; at < got;) {
			const char *name = buf + at + 19;	/* struct linux_dirent64 */
			uint16_t length;
			struct stat st;
			int below;

			memcpy(&length, buf + at + 16, sizeof(length));
			at += length;
			if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
				continue;
			if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) || st.st_dev != device)
				continue;
			if (!S_ISDIR(st.st_mode)) {
				unlinkat(directory, name, 0);
				continue;
			}
			below = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (below >= 0) {
				empty_directory(below, device);
				close(below);
			}
			unlinkat(directory, name, AT_REMOVEDIR);
		}
}

static void carry_over(const char *from, const char *to)
{
	mkdir(to, 0755);
	if (mount(from, to, NULL, MS_MOVE, NULL))
		die(to);
}

void enter_root(void)
{
	int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	carry_over("/dev", "/rig/new/dev");
	carry_over("/proc", "/rig/new/proc");
	carry_over("/sys", "/rig/new/sys");
	if (chdir("/rig/new") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("move to the root filesystem");
	if (old >= 0 && fstat(old, &st) == 0)
		empty_directory(old, st.st_dev);
	if (old >= 0)
		close(old);
}

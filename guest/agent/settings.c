// SPDX-License-Identifier: MIT
/* The verbs that set something. The value is read back, and the record has both: the one written and the one read. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "agent.h"

static char got[8192];

/* Return a file's present text, or NULL for a file that cannot be read (vm.drop_caches, memory.reclaim). */
const char *read_back(const char *path)
{
	bool later;

	if (slurp_named(path, got, sizeof(got), &later) < 0)
		return NULL;
	trim(got);
	return got;
}

void say_got(const char *asked, const char *value)
{
	rec_str("asked", asked);
	if (value)
		rec_str("got", value);
	else
		rec_null("got");
}

/* Compare with all blanks alike: the kernel prints "4 4 1 7" (kernel.printk) with tabs. */
static bool same_words(const char *a, const char *b)
{
	for (;;) {
		a += strspn(a, " \t\n");
		b += strspn(b, " \t\n");
		if (!*a || !*b)
			return *a == *b;
		while (*a && !strchr(" \t\n", *a))
			if (*a++ != *b++)
				return false;
		if (*b && !strchr(" \t\n", *b))
			return false;
	}
}

/* Return /proc/sys/vm/swappiness for vm.swappiness; NULL for a text that is not the name of a sysctl. */
const char *sysctl_path(const char *name)
{
	static char path[PATH_BYTES];

	if (strlen(name) > PATH_BYTES - 16 || strstr(name, "..") || strchr(name, '/'))
		return NULL;
	strcpy(stpcpy(path, "/proc/sys/"), name);
	for (char *at = path + 10; *at; at++)
		if (*at == '.')
			*at = '/';
	return path;
}

enum outcome begin_sysctl(struct step *step)
{
	const char *name = word(step, "name"), *value = word(step, "value"), *path = sysctl_path(name), *back;

	if (!path)
		return fail(EINVAL, "%s is not the name of a sysctl", name);
	if (!file_exists(path))
		return fail(errno, "there is no sysctl %s in this kernel", name);
	if (spill(path, value))
		return fail(errno, "write of '%s' to %s failed", value, path);
	step->done = true;
	note_set(path);
	back = read_back(path);
	rec_begin("sysctl");
	rec_str("name", name);
	say_got(value, back);
	rec_end();
	if (back && !same_words(back, value))
		return fail(0, "%s reads back as '%s', not '%s'", name, back, value);
	return STEP_DONE;
}

enum outcome begin_write(struct step *step)
{
	const char *path = word(step, "path"), *value = word(step, "value"), *mkdirs = word(step, "mkdir");
	char directory[PATH_BYTES], *slash;

	if (mkdirs && strcmp(mkdirs, "1") == 0) {
		copy_name(directory, sizeof(directory), path);
		slash = strrchr(directory, '/');
		if (slash && slash != directory) {
			*slash = '\0';
			if (make_dirs(directory))
				return fail(errno, "mkdir of %s failed", directory);
		}
	}
	if (spill_named(path, value))
		return fail(errno, "write of '%s' to %s failed", value, path);
	step->done = true;
	note_set(path);
	rec_begin("write");
	rec_str("path", path);
	say_got(value, read_back(path));
	rec_end();
	return STEP_DONE;
}

/* A cgroup has only the controllers that its parent enables in cgroup.subtree_control. */
static int hand_down(const char *group)
{
	static const char *const controllers[] = { "+memory", "+pids", "+cpuset", "+cpu" };
	char path[PATH_BYTES];
	int failed = 0;

	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", group);
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		if (spill(path, controllers[i]) && i < 2)
			failed = -1;	/* scenarios depend on memory and pids: their absence is an error */
	return failed;
}

enum outcome begin_cgroup(struct step *step)
{
	const char *name = word(step, "name");
	char path[PATH_BYTES];

	if (!*name || *name == '/' || strstr(name, "..") || strlen(name) > PATH_BYTES - 128)
		return fail(EINVAL, "'%s' is not the name of a cgroup below the root", name);
	if (cgroup_v1 && make_v1_groups(name, path, sizeof(path)))
		return fail(errno, "mkdir of %s failed", path);
	for (const char *at = name; !cgroup_v1; at++) {
		if (*at && *at != '/')
			continue;
		snprintf(path, sizeof(path), CGROUPS "%.*s", (int)(at - name), name);
		if (make_dirs(path))
			return fail(errno, "mkdir of %s failed", path);
		if (!*at)
			break;
		if (hand_down(path))
			return fail(errno, "controllers of %s cannot be enabled", path);
	}
	for (int i = 0; i < step->count; i++) {
		const char *key = step->words[i].key, *value = step->words[i].value;

		if (!strchr(key, '.'))
			continue;
		cgroup_file(path, sizeof(path), name, key);
		if (spill(path, value))
			return fail(errno, "write of '%s' to %s failed", value, path);
		note_set(path);
		rec_begin("cgroup");
		rec_str("name", name);
		rec_str("key", key);
		rec_str("path", path);
		say_got(value, read_back(path));
		rec_end();
	}
	step->done = true;
	return STEP_DONE;
}

enum outcome begin_modprobe(struct step *step)
{
	const char *name = word(step, "name");
	char builtin[PATH_BYTES];

	snprintf(builtin, sizeof(builtin), "/sys/module/%s", name);
	if (load_optional(name) && (errno != ENOENT || !file_exists(builtin)))
		return fail(errno, "module %s cannot be loaded", name);
	return STEP_DONE;
}

/* Write the header that mkswap(8) writes: union swap_header of include/linux/swap.h, version 1, no bad pages. */
static int make_swap(const char *path)
{
	static char page[4096];
	uint32_t *header = (uint32_t *)(page + 1024);
	uint64_t bytes = 0;
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC), err;
	bool ok;

	if (fd < 0)
		return -1;
	ok = fstat(fd, &st) == 0 && (!S_ISBLK(st.st_mode) || ioctl(fd, BLKGETSIZE64, &bytes) == 0);
	if (ok && !S_ISBLK(st.st_mode))
		bytes = (uint64_t)st.st_size;
	memset(page, 0, sizeof(page));
	header[0] = 1;
	header[1] = (uint32_t)(bytes / sizeof(page) - 1);
	memcpy(page + sizeof(page) - 10, "SWAPSPACE2", 10);
	if (ok && bytes < 10 * sizeof(page)) {
		errno = EINVAL;
		ok = false;
	}
	ok = ok && pwrite(fd, page, sizeof(page), 0) == sizeof(page) && fsync(fd) == 0;
	err = errno;
	close(fd);
	errno = err;
	return ok ? 0 : -1;
}

/* Make a new zram device: a read of /sys/class/zram-control/hot_add creates one and returns its number. */
static int new_zram(const char *size, char *path, size_t path_size)
{
	char number[16], disksize[64];
	uint64_t bytes = 0;
	char text[24];

	if (load_optional("zram") && errno != ENOENT)
		return -1;
	if (slurp("/sys/class/zram-control/hot_add", number, sizeof(number)) <= 0)
		return -1;
	trim(number);
	parse_size(size, &bytes);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	snprintf(disksize, sizeof(disksize), "/sys/block/zram%s/disksize", number);
	if (spill(disksize, text))
		return -1;
	snprintf(path, path_size, "/dev/zram%s", number);
	return wait_for_device(path, NSEC) ? 0 : -1;
}

enum outcome begin_swapon(struct step *step)
{
	const char *zram = word(step, "zram"), *mkswap = word(step, "mkswap");
	char path[PATH_BYTES];

	if (zram && new_zram(zram, path, sizeof(path)))
		return fail(errno, "no zram device of %s bytes", zram);
	if (!zram)
		copy_name(path, sizeof(path), word(step, "path"));
	if ((zram || (mkswap && strcmp(mkswap, "1") == 0)) && make_swap(path))
		return fail(errno, "no swap header could be written to %s", path);
	if (swapon(path, 0))
		return fail(errno, "swapon of %s failed", path);
	return STEP_DONE;
}

enum outcome begin_mark(struct step *step)
{
	char line[256];
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC), err = 0;

	snprintf(line, sizeof(line), "<6>rig: mark %s\n", word(step, "name"));
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	rec_begin("mark");
	rec_str("name", word(step, "name"));
	rec_end();
	return err ? fail(err, "write to /dev/kmsg failed") : STEP_DONE;
}

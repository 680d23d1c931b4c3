// SPDX-License-Identifier: MIT
/*
 * Read and write the kernel's files in mounts of the agent's own. Programs run as root beside the agent: they may mount
 * a file over /proc/vmstat, or unmount /proc. A detached mount is in no mount namespace: nothing can be mounted in it
 * (do_add_mount() and check_mnt() of fs/namespace.c), and only the agent has its descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent.h"

static struct { const char *path; int fd; } own[] = { { "/proc", -1 }, { "/sys", -1 } };

/* A procfs of its own, because a program may change the options of the one that it sees, as with subset=pid. */
static int detached_proc(void)
{
	int context = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC), fd = -1;

	if (context < 0)
		return -1;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
				  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	close(context);
	return fd;
}

/* To be called before any program starts, and once /sys/fs/cgroup is mounted: the copy of /sys includes it. */
void take_own_mounts(void)
{
	own[0].fd = detached_proc();
	own[1].fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/sys", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

/* Whether programs cannot change what the agent reads. False before Linux 5.2, which has no fsmount(2). */
bool has_own_mounts(void)
{
	return own[0].fd >= 0 && own[1].fd >= 0;
}

/* Return the directory in which *path is to be opened, and make *path relative to it where it is an own mount. */
int directory_of(const char **path)
{
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		size_t length = strlen(own[i].path);
		const char *rest = *path + length;

		if (own[i].fd < 0 || strncmp(*path, own[i].path, length) != 0 || (*rest && *rest != '/'))
			continue;
		rest += strspn(rest, "/");
		*path = *rest ? rest : ".";
		return own[i].fd;
	}
	return AT_FDCWD;
}

int open_file(const char *path, int flags)
{
	int directory = directory_of(&path), fd = openat(directory, path, flags | O_CLOEXEC);

	if (fd < 0 && errno == EMFILE) {
		allow_files();
		fd = openat(directory, path, flags | O_CLOEXEC);
	}
	return fd;
}

/* Filesystems whose files the kernel alone makes: what a program mounts there cannot be made up. */
static bool is_of_the_kernel(int fd)
{
	static const uint32_t types[] = { DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC, CGROUP_SUPER_MAGIC,
					  CGROUP2_SUPER_MAGIC, BINFMTFS_MAGIC, 0x62656570 /* CONFIGFS_MAGIC of fs/configfs */ };
	struct statfs st;

	if (fstatfs(fd, &st))
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if ((uint32_t)st.f_type == types[i])
			return true;
	return false;
}

/*
 * Open a file that a step of the plan names. The agent's own mounts lack what was mounted below /proc and /sys after they
 * were made, as debugfs: such a file is opened where the programs see it, if it is in a filesystem of the kernel's.
 * *later says whether it was.
 */
int open_named(const char *path, int flags, bool *later)
{
	const char *rest = path;
	int fd = open_file(path, flags);

	*later = false;
	if (fd >= 0 || errno != ENOENT || directory_of(&rest) == AT_FDCWD)
		return fd;
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!is_of_the_kernel(fd)) {
		close(fd);
		errno = ENOENT;
		return -1;
	}
	*later = true;
	return fd;
}

bool file_exists(const char *path)
{
	int directory = directory_of(&path);

	return faccessat(directory, path, F_OK, 0) == 0;
}

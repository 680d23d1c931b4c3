// SPDX-License-Identifier: MIT
/*
 * Mount the cgroup hierarchies and find a group's files in them. cgroup2 is the default; with rig.cgroup=v1 on the
 * kernel's command line each controller has a hierarchy of its own, as old containers expect it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

#define MOUNT_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* Hierarchies of version 1 as systemd mounts them; one that this kernel does not have is left out. */
static const char *const hierarchies[] = { "memory", "pids", "cpu,cpuacct", "cpuset", "blkio", "devices", "freezer" };
enum { HIERARCHIES = sizeof(hierarchies) / sizeof(hierarchies[0]) };
static bool mounted[HIERARCHIES];

bool cgroup_v1;

/*
 * A mount of cgroup2 in the initial cgroup namespace sets the options of the one hierarchy, and takes nsdelegate away
 * where it does not name it (apply_cgroup_root_flags() of kernel/cgroup/cgroup.c).
 */
int mount_cgroup2(const char *where)
{
	return mount("cgroup", where, "cgroup2", MOUNT_FLAGS, "nsdelegate");
}

static void mount_v1(void)
{
	char path[PATH_BYTES];
	const char *comma;

	if (mount("cgroup", CGROUPS, "tmpfs", MOUNT_FLAGS, "mode=0755"))
		return;
	for (int i = 0; i < HIERARCHIES; i++) {
		snprintf(path, sizeof(path), CGROUPS "%s", hierarchies[i]);
		mkdir(path, 0755);
		mounted[i] = mount("cgroup", path, "cgroup", MOUNT_FLAGS, hierarchies[i]) == 0;
		if (!mounted[i]) {
			rmdir(path);
			continue;
		}
		/* A group of cpuset takes no task before it has CPUs and nodes (cpuset_can_attach()): give it its parent's. */
		if (strcmp(hierarchies[i], "cpuset") == 0)
			spill(CGROUPS "cpuset/cgroup.clone_children", "1");
		/* /sys/fs/cgroup/cpu beside cpu,cpuacct, as everybody looks for it */
		comma = strchr(hierarchies[i], ',');
		if (comma) {
			snprintf(path, sizeof(path), CGROUPS "%.*s", (int)(comma - hierarchies[i]), hierarchies[i]);
			if (symlink(hierarchies[i], path))
				continue;
			snprintf(path, sizeof(path), CGROUPS "%s", comma + 1);
			if (symlink(hierarchies[i], path))
				continue;
		}
	}
}

void mount_cgroups(void)
{
	static const char *const controllers[] = { "+memory", "+pids", "+cpuset", "+cpu", "+io" };
	const char *version = cmdline("rig.cgroup");

	cgroup_v1 = version && strcmp(version, "v1") == 0;
	if (cgroup_v1) {
		mount_v1();
		return;
	}
	if (mount_cgroup2("/sys/fs/cgroup"))
		return;		/* no error here: a step that needs it will fail and name it */
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		spill(CGROUPS "cgroup.subtree_control", controllers[i]);
}

/* The path of a group's file. In version 1 its hierarchy is the one of the controller that the file's name begins with. */
void cgroup_file(char *path, size_t size, const char *group, const char *file)
{
	size_t span = strcspn(file, ".");

	if (cgroup_v1)
		snprintf(path, size, CGROUPS "%.*s/%s/%s", (int)span, file, group, file);
	else
		snprintf(path, size, CGROUPS "%s/%s", group, file);
}

/* Make the group in each hierarchy of version 1. Returns 0, or -1 with errno and the path that cannot be made. */
int make_v1_groups(const char *name, char *path, size_t size)
{
	for (int i = 0; i < HIERARCHIES; i++) {
		if (!mounted[i])
			continue;
		snprintf(path, size, CGROUPS "%s/%s", hierarchies[i], name);
		if (make_dirs(path))
			return -1;
	}
	return 0;
}

/* Put the calling process into the group. Between vfork and execve: it changes no memory of the agent. */
int join_cgroup(const char *name)
{
	char path[PATH_BYTES];

	if (!cgroup_v1) {
		snprintf(path, sizeof(path), CGROUPS "%.*s/cgroup.procs", PATH_BYTES - 64, name);
		return spill(path, "0");
	}
	for (int i = 0; i < HIERARCHIES; i++) {
		if (!mounted[i])
			continue;
		snprintf(path, sizeof(path), CGROUPS "%s/%.*s/cgroup.procs", hierarchies[i], PATH_BYTES - 96, name);
		if (spill(path, "0"))
			return -1;
	}
	return 0;
}

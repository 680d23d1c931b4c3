// SPDX-License-Identifier: MIT
/* Memory cgroups (version 2) that holders live in. */
#include <dirent.h>

#include "holders.h"

/* Remove a cgroup that a check left behind which ended early: its limits would be in force in this check. */
static void remove_left_behind(const char *path)
{
	char child[300];
	struct dirent *entry;
	DIR *directory = opendir(path);

	while (directory && (entry = readdir(directory)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
			snprintf(child, sizeof(child), "%.40s/%s", path, entry->d_name);
			rmdir(child);
		}
	if (directory)
		closedir(directory);
	for (int left = 100; left > 0 && rmdir(path) && errno == EBUSY; left--)
		sleep_for(10000000);
}

void make_group(const char *path)
{
	needs("cgroup2", access("/sys/fs/cgroup/cgroup.controllers", F_OK) ? errno : 0, ENOENT);
	remove_left_behind(path);
	if (mkdir(path, 0755))
		broken("mkdir-of-a-cgroup-%s", strerrorname_np(errno));
}

void set_group(const char *path, const char *key, const char *value)
{
	char file[160], *text;

	snprintf(file, sizeof(file), "%s/%s", path, key);
	needs(key, spill(file, value), ENOENT);
	text = slurp(file);
	tell("%s=%.*s", key, (int)strcspn(text ?: "", "\n"), text ?: "");
}

long group_event(const char *name)
{
	return number_in(GROUP "/memory.events", name);
}

void remove_group(const char *path)
{
	end_holders();
	for (int left = 100; left > 0 && rmdir(path) && errno == EBUSY; left--)
		sleep_for(10000000);
}

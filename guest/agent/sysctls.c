// SPDX-License-Identifier: MIT
/*
 * The names of the kernel's sysctls, for the record `ready`: the host then refuses a misspelt one before a run. The settings
 * of one network interface are left out, because interfaces come and go: those of `default` have the same names.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"

static bool complete;

/* Whether PATH/NAME holds the settings of one network interface: net/ipv4/conf/eth0, net/ipv6/neigh/lo. */
static bool of_interface(const char *path, const char *name)
{
	const char *last = strrchr(path, '/');

	return strncmp(path, "/net/", 5) == 0 && (strcmp(last, "/conf") == 0 || strcmp(last, "/neigh") == 0) &&
	       strcmp(name, "all") != 0 && strcmp(name, "default") != 0;
}

/* Record every file below /proc/sys and PATH (empty, or with a slash first), with dots in place of the slashes. */
static void say_directory(const char *path, int depth)
{
	char full[PATH_BYTES], name[PATH_BYTES];
	const struct dirent *entry;
	DIR *directory;

	snprintf(full, sizeof(full), "/proc/sys%s", path);
	directory = depth < 8 ? opendir(full) : NULL;
	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		if (rec_room() < 1024) {
			complete = false;
			break;
		}
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (entry->d_type == DT_DIR) {
			if (!of_interface(path, entry->d_name))
				say_directory(name, depth + 1);
			continue;
		}
		for (char *slash = name; (slash = strchr(slash, '/'));)
			*slash = '.';
		rec_str(NULL, name + 1);
	}
	if (directory)
		closedir(directory);
}

void say_sysctls(void)
{
	complete = true;
	rec_open("sysctls", '[');
	say_directory("", 0);
	rec_close(']');
	rec_bool("sysctls_complete", complete);
}

// SPDX-License-Identifier: MIT
/*
 * The names of the kernel's sysctls, for the record `ready`: the host then refuses a misspelt one before a run. Directories
 * of devices and of the network are left out, because their names come and go.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"

static const char *const roots[] = { "abi", "debug", "fs", "kernel", "user", "vm" };

/* Record every file below /proc/sys/PATH, with dots in place of the slashes. */
static void say_directory(const char *path, int depth)
{
	char full[PATH_BYTES], name[PATH_BYTES];
	const struct dirent *entry;
	DIR *directory;

	snprintf(full, sizeof(full), "/proc/sys/%s", path);
	directory = depth < 6 ? opendir(full) : NULL;
	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.' || rec_room() < 1024)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (entry->d_type == DT_DIR) {
			say_directory(name, depth + 1);
			continue;
		}
		for (char *slash = name; (slash = strchr(slash, '/'));)
			*slash = '.';
		rec_str(NULL, name);
	}
	if (directory)
		closedir(directory);
}

void say_sysctls(void)
{
	rec_open("sysctls", '[');
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		say_directory(roots[i], 0);
	rec_close(']');
}

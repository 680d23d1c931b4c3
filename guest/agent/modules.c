// SPDX-License-Identifier: MIT
/* Load kernel modules: those of the boot, and those that a step or the kernel command line names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

int load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), status, err;

	if (fd < 0)
		return -1;
	status = (int)syscall(SYS_finit_module, fd, "", 0);
	err = errno;
	close(fd);
	errno = err;
	return status && err != EEXIST ? -1 : 0;
}

/* Load /modules/order: one path a line, relative to /modules unless absolute. A leading `-` allows the load to fail. */
void load_modules(void)
{
	static char text[16 * 1024];
	char path[PATH_BYTES], what[PATH_BYTES + 32], *save;

	if (slurp("/modules/order", text, sizeof(text)) < 0) {
		if (errno == ENOENT)
			return;		/* no list: everything is built in */
		die("/modules/order");
	}
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		bool optional = *line == '-';

		snprintf(path, sizeof(path), "%s%s", line[optional] == '/' ? "" : "/modules/", line + optional);
		if (load_module(path) && !optional) {
			snprintf(what, sizeof(what), "module %s", path);
			die(what);
		}
	}
}

/*
 * Load a module and its dependencies from /modules/optional. A line is `name: path path path`: the dependencies come
 * first, all paths are relative to /modules. ENOENT when no line has the name.
 */
int load_optional(const char *name)
{
	static char text[16 * 1024];
	char path[PATH_BYTES], *save, *word_save;

	if (slurp("/modules/optional", text, sizeof(text)) < 0)
		return -1;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');

		if (!colon)
			continue;
		*colon = '\0';
		if (strcmp(line, name) != 0)
			continue;
		for (char *file = strtok_r(colon + 1, " ", &word_save); file; file = strtok_r(NULL, " ", &word_save)) {
			snprintf(path, sizeof(path), "%s%s", *file == '/' ? "" : "/modules/", file);
			if (load_module(path))
				return -1;
		}
		return 0;
	}
	errno = ENOENT;
	return -1;
}

void load_asked(void)
{
	const char *asked = cmdline("rig.modules");
	char names[256], what[300], *save;

	if (!asked)
		return;
	copy_name(names, sizeof(names), asked);
	for (char *name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save))
		if (load_optional(name)) {
			snprintf(what, sizeof(what), "module %s of rig.modules", name);
			die(what);
		}
}

static bool copy_file(const char *from, const char *to)
{
	static char buf[16 * 1024];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t got = -1;

	while (in >= 0 && out >= 0 && (got = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)got) != got) {
			got = -1;
			break;
		}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return got == 0;
}

/* Copy the optional modules to a tmpfs, because the initramfs is freed before a step may need one. */
void keep_optional_modules(const char *directory)
{
	static char text[16 * 1024];
	char from[PATH_BYTES], to[PATH_BYTES], *save, *word_save;

	if (slurp("/modules/optional", text, sizeof(text)) < 0)
		return;
	mkdir(directory, 0755);
	snprintf(to, sizeof(to), "%s/optional", directory);
	if (!copy_file("/modules/optional", to))
		die("copy of /modules/optional");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':'), *slash;

		for (char *file = colon ? strtok_r(colon + 1, " ", &word_save) : NULL; file;
		     file = strtok_r(NULL, " ", &word_save)) {
			snprintf(from, sizeof(from), "/modules/%s", file);
			snprintf(to, sizeof(to), "%s/%s", directory, file);
			slash = strrchr(to, '/');
			*slash = '\0';
			make_dirs(to);
			*slash = '/';
			if (access(to, F_OK) && !copy_file(from, to))
				die(from);
		}
	}
}

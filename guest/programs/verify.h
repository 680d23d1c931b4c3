/* SPDX-License-Identifier: MIT */
/*
 * What the programs that measure the kernel's rules share: they say numbers, the host judges them.
 *
 * A line a check: "check NAME key=value …"; "check NAME na=ERRNO" where the kernel has no such thing. Nothing here
 * takes memory that would be charged while something is measured: buffers are static.
 */
#ifndef RIG_VERIFY_H
#define RIG_VERIFY_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "phases.h"

#define KB 1024L
#define MB (1024L * 1024L)
#define PAGE 4096L

static char file_text[256 * 1024];

/* The file's text in a static buffer, or NULL with errno. */
__attribute__((unused))
static char *slurp(const char *path)
{
	size_t length = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	while ((got = read(fd, file_text + length, sizeof(file_text) - 1 - length)) > 0)
		length += (size_t)got;
	close(fd);
	if (got < 0)
		return NULL;
	file_text[length] = '\0';
	return file_text;
}

/* 0, or the errno. */
__attribute__((unused))
static int spill(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) < 0)
		err = errno;
	close(fd);
	return err;
}

__attribute__((unused))
static int set_vm(const char *name, long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	snprintf(text, sizeof(text), "%ld", value);
	return spill(path, text);
}

__attribute__((unused))
static long get_vm(const char *name)
{
	char path[128];
	char *text;

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	text = slurp(path);
	return text ? strtol(text, NULL, 10) : -1;
}

/* The number behind a word of a file, or -1. */
__attribute__((unused))
static long number_in(const char *path, const char *key)
{
	char *text = slurp(path), *at = text;
	size_t length = strlen(key);

	while (at && (at = strstr(at, key))) {
		if ((at == text || at[-1] == '\n') && (at[length] == ' ' || at[length] == ':' || at[length] == '\t'))
			return strtol(at + length + 1, NULL, 10);
		at += length;
	}
	return -1;
}

__attribute__((unused))
static long meminfo(const char *key)
{
	return number_in("/proc/meminfo", key);
}

/* Into the kernel's log, where the host finds what a check made the kernel say. */
__attribute__((unused))
static void mark(const char *what, const char *check)
{
	char line[128];
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	snprintf(line, sizeof(line), "<6>rig-verify: %s %s\n", what, check);
	if (fd < 0)
		return;
	if (write(fd, line, strlen(line)) < 0)
		say("kmsg: %s", strerrorname_np(errno));
	close(fd);
}

#endif

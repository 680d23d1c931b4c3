// SPDX-License-Identifier: MIT
/* Read and write small files and numbers without stdio, which allocates memory and costs instructions under TCG. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

/* One read(2) of a /proc file may return only a part: read until the end or until the buffer is full. */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t length = 0;
	bool seeks = true;

	while (length < size - 1) {
		ssize_t got = seeks ? pread(fd, buf + length, size - 1 - length, (off_t)length)
				    : read(fd, buf + length, size - 1 - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ESPIPE && seeks) {
			seeks = false;	/* nonseekable_open(), as of numbers in debugfs */
			continue;
		}
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	buf[length] = '\0';
	return (ssize_t)length;
}

static ssize_t slurp_from(int fd, char *buf, size_t size)
{
	ssize_t length;
	int err;

	buf[0] = '\0';
	if (fd < 0)
		return -1;
	length = read_all(fd, buf, size);
	err = errno;
	close(fd);
	errno = err;
	return length;
}

ssize_t slurp(const char *path, char *buf, size_t size)
{
	return slurp_from(open_file(path, O_RDONLY | O_NONBLOCK), buf, size);
}

/* Read a file that a step names; *later as open_named() says. */
ssize_t slurp_named(const char *path, char *buf, size_t size, bool *later)
{
	return slurp_from(open_named(path, O_RDONLY | O_NONBLOCK, later), buf, size);
}

/*
 * Read a file that is kept open, by one pread(2) where it is short: half the cost of reading to the end. The kernel gives
 * at most the lines that fit its buffer of a page (seq_read_iter() of fs/seq_file.c), so that more may come after one
 * that is nearly full, as of /proc/vmstat.
 */
ssize_t reread(int fd, char *buf, size_t size)
{
	enum { NEARLY_FULL = 4096 - 256 };
	ssize_t got = pread(fd, buf, size - 1, 0), part = got;
	size_t length = got > 0 ? (size_t)got : 0;

	while (part >= NEARLY_FULL && length < size - 1) {
		part = pread(fd, buf + length, size - 1 - length, (off_t)length);
		length += part > 0 ? (size_t)part : 0;
	}
	buf[length] = '\0';
	return got < 0 ? got : (ssize_t)length;
}

static int spill_into(int fd, const char *text)
{
	size_t length = strlen(text);
	ssize_t put;
	int err;

	if (fd < 0)
		return -1;
	put = write(fd, text, length);
	err = put < 0 ? errno : EIO;
	close(fd);
	errno = err;
	return put == (ssize_t)length ? 0 : -1;
}

int spill(const char *path, const char *text)
{
	return spill_into(open_file(path, O_WRONLY | O_TRUNC), text);
}

/* Write a file that a step names. */
int spill_named(const char *path, const char *text)
{
	bool later;

	return spill_into(open_named(path, O_WRONLY | O_TRUNC, &later), text);
}

size_t trim(char *text)
{
	size_t length = strlen(text);

	while (length > 0 && strchr(" \t\n", text[length - 1]))
		text[--length] = '\0';
	return length;
}

/* Find the number after `key` at the start of a line, as in "VmRSS:\t 1234 kB". */
bool field_kb(const char *text, const char *key, int64_t *value)
{
	size_t length = strlen(key);

	while (text) {
		if (memcmp(text, key, length) == 0) {
			text += length;
			while (*text == ' ' || *text == '\t')
				text++;
			for (*value = 0; *text >= '0' && *text <= '9'; text++)
				*value = *value * 10 + (*text - '0');
			return true;
		}
		text = strchr(text, '\n');
		if (text && *++text == '\0')
			break;
	}
	return false;
}

void copy_name(char *to, size_t size, const char *from)
{
	size_t length = strnlen(from, size - 1);

	memcpy(to, from, length);
	to[length] = '\0';
}

/* mkdir -p */
int make_dirs(const char *path)
{
	char part[PATH_BYTES];
	int directory = directory_of(&path);

	if (strlen(path) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(part, path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(directory, part, 0755) && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return mkdirat(directory, part, 0755) && errno != EEXIST ? -1 : 0;
}

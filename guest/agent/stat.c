// SPDX-License-Identifier: MIT
/* /proc/PID/stat, and paths below /proc/PID: read of each process at each sample, so without printf(3) and scanf(3). */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

char *append_number(char *to, long value)
{
	char digits[24];
	int count = 0;

	do
		digits[count++] = (char)('0' + value % 10);
	while (value /= 10);
	while (count)
		*to++ = digits[--count];
	*to = '\0';
	return to;
}

int open_of(pid_t pid, pid_t task, const char *file)
{
	char path[96] = "/proc/", *at = append_number(path + 6, pid);

	if (task)
		at = append_number(stpcpy(at, "/task/"), task);
	strcpy(stpcpy(at, "/"), file);
	return open_file(path, O_RDONLY);
}

/* Parse /proc/PID/stat (proc_pid_stat(5)). The comm may itself contain blanks and parentheses. */
bool read_stat(struct member *m)
{
	char text[1024], *open_bracket, *at;
	int fd = m->stat_fd >= 0 ? m->stat_fd : open_of(m->pid, 0, "stat");
	ssize_t got;
	size_t length;
	uint64_t field[53] = { 0 };

	if (fd < 0)
		return false;
	got = reread(fd, text, sizeof(text));
	if (m->stat_fd < 0)
		close(fd);
	open_bracket = strchr(text, '(');
	at = strrchr(text, ')');
	if (got <= 0 || !open_bracket || !at)
		return false;
	length = (size_t)(at - open_bracket) - 1;
	if (length >= sizeof(m->comm))
		length = sizeof(m->comm) - 1;
	memcpy(m->comm, open_bracket + 1, length);
	m->comm[length] = '\0';
	m->state = at[2];
	at += 3;
	for (int i = 4; i <= 52 && *at; i++) {
		while (*at == ' ' || *at == '-')
			at++;
		for (; *at >= '0' && *at <= '9'; at++)
			field[i] = field[i] * 10 + (uint64_t)(*at - '0');
	}
	m->ppid = (pid_t)field[4];
	m->pgid = (pid_t)field[5];
	m->sid = (pid_t)field[6];
	m->minflt = field[10];
	m->majflt = field[12];
	m->utime = field[14];
	m->stime = field[15];
	m->threads = (int)field[20];
	m->started = field[22];
	m->vsize = field[23];
	m->exit_code = (int)field[52];
	return true;
}

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

/* Parse /proc/PID/stat (proc_pid_stat(5)) of any task. The comm may itself contain blanks and parentheses. */
static bool read_stat_of(struct member *m, int fd)
{
	char text[1024], *open_bracket, *at;
	ssize_t got = reread(fd, text, sizeof(text));
	size_t length;
	uint64_t field[53] = { 0 };

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

static void find_living(pid_t tid, void *with)
{
	struct member *m = with, thread = { .pid = tid };
	int fd = m->task != m->pid ? -1 : open_of(m->pid, tid, "stat");

	if (fd < 0)
		return;
	if (tid != m->pid && read_stat_of(&thread, fd) && thread.state != 'Z' && thread.state != 'X') {
		m->task = tid;
		m->state = thread.state;
		m->vsize = thread.vsize;
	}
	close(fd);
}

/* Read what /proc/PID/stat says of a process. Returns false where there is none any more. */
bool read_stat(struct member *m)
{
	int fd = m->stat_fd >= 0 ? m->stat_fd : open_of(m->pid, 0, "stat");
	char tasks[64] = "/proc/";
	bool known;

	if (fd < 0)
		return false;
	known = read_stat_of(m, fd);
	if (m->stat_fd < 0)
		close(fd);
	m->task = m->pid;
	/* The first thread has ended, and stays a zombie without memory until the others have (do_exit() of kernel/exit.c). */
	m->first_ended = known && m->state == 'Z' && m->threads > 1;
	if (m->first_ended) {
		strcpy(append_number(tasks + 6, m->pid), "/task");
		each_number(tasks, find_living, m);
	}
	return known;
}

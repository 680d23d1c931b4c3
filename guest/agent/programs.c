// SPDX-License-Identifier: MIT
/* The plan's programs: collect their output line by line, signal and reap them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

struct program programs[MAX_PROGRAMS];
const char *payload_dir = "/payload";
static struct region regions[MAX_REGIONS];
static int region_count;

struct program *program_named(const char *name)
{
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].pid && strcmp(programs[i].name, name) == 0)
			return &programs[i];
	return NULL;
}

const struct region *region_named(const struct program *program, const char *name)
{
	for (int i = 0; i < region_count; i++)
		if (regions[i].program == program && strcmp(regions[i].name, name) == 0)
			return &regions[i];
	return NULL;
}

void close_stream(struct stream *stream)
{
	if (stream->fd > 0)
		close(stream->fd);
	stream->fd = -1;
	stream->length = 0;
	stream->skipping = false;
}

/* Parse "region NAME START LENGTH", the numbers in hex. A later line replaces an earlier one with the same name. */
static void note_region(const struct program *program, const char *line)
{
	struct region *region;
	char text[128], *save, *name, *start, *length;

	copy_name(text, sizeof(text), line);
	strtok_r(text, " ", &save);
	name = strtok_r(NULL, " ", &save);
	start = strtok_r(NULL, " ", &save);
	length = strtok_r(NULL, " ", &save);
	if (!name || !start || !length)
		return;
	region = (struct region *)region_named(program, name);
	if (!region) {
		if (region_count == MAX_REGIONS)
			return;
		region = &regions[region_count++];
	}
	region->program = program;
	copy_name(region->name, sizeof(region->name), name);
	if (!parse_hex(start, &region->start) || !parse_hex(length, &region->length))
		region->length = 0;
}

/* ended: whether the line ended with a newline. */
static void heard(struct program *program, const struct stream *stream, size_t length, bool ended)
{
	bool is_stdout = stream == &program->out;
	char line[LINE_BYTES + 1];

	rec_begin("line");
	rec_str("program", program->name);
	rec_int("pid", program->pid);
	rec_str("stream", is_stdout ? "stdout" : "stderr");
	rec_text("text", stream->buf, length);
	if (stream->verbatim && !ended)
		rec_bool("open", true);
	if (stream->verbatim && !is_utf8(stream->buf, length))
		rec_base64("bytes", stream->buf, length);
	rec_end();
	if (!is_stdout)
		return;
	memcpy(line, stream->buf, length);
	line[length] = '\0';
	copy_name(program->last_line, sizeof(program->last_line), line);
	if (strncmp(line, "region ", 7) == 0)
		note_region(program, line);
	count_line(program, line);
}

static void split_lines(struct program *program, struct stream *stream)
{
	char *newline;

	while ((newline = memchr(stream->buf, '\n', stream->length))) {
		size_t length = (size_t)(newline - stream->buf);

		if (!stream->skipping)
			heard(program, stream, length, true);
		stream->skipping = false;
		stream->length -= length + 1;
		memmove(stream->buf, newline + 1, stream->length);
	}
	if (stream->length == sizeof(stream->buf)) {
		if (!stream->skipping)
			heard(program, stream, stream->length, false);
		stream->skipping = !stream->verbatim;
		stream->length = 0;
	}
}

/* With stream=1 no output may be lost: while the port's queue is full, leave it in the pipe; the program blocks. */
bool stream_may_be_read(const struct stream *stream)
{
	return !stream->verbatim || port_room() > 4 * LINE_BYTES;
}

/* Read at most one buffer a call, so that a program that prints without end cannot starve the event loop. */
void program_readable(struct program *program, struct stream *stream)
{
	ssize_t got = read(stream->fd, stream->buf + stream->length, sizeof(stream->buf) - stream->length);

	/* EIO is a terminal's end of file: no process has the slave open any more. */
	if (got < 0 && !(stream->terminal && errno == EIO))
		return;
	if (got <= 0) {
		if (stream->length && !stream->skipping)
			heard(program, stream, stream->length, false);
		close_stream(stream);
		return;
	}
	stream->length += (size_t)got;
	split_lines(program, stream);
}

/*
 * What a program writes to its terminal reaches the master through a work queue (tty_flip_buffer_push() of
 * drivers/tty/tty_buffer.c), which runs only while the agent sleeps. So wait a moment for it, or for the end of file.
 */
static void wait_for_output(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	poll(&ready, 1, 10);
}

/* Read the rest of a program's output, so that its lines are recorded before its exit. */
static void drain(struct program *program)
{
	for (struct stream *stream = &program->out; stream <= &program->err; stream++)
		for (int i = 0; i < 64 && stream->fd > 0; i++) {
			size_t before = stream->length;
			int avail = 0;

			if (!stream_may_be_read(stream))
				port_drain(5 * NSEC);

			if (stream->terminal)
				wait_for_output(stream->fd);
			else if (ioctl(stream->fd, FIONREAD, &avail) || avail == 0)
				break;
			program_readable(program, stream);
			if (stream->length == before && stream->fd < 0)
				break;
		}
}

static void say_exit(const char *program, const char *comm, pid_t pid, int status, const struct rusage *usage)
{
	rec_begin("exit");
	rec_str("program", program);
	rec_str("comm", comm);
	rec_int("pid", pid);
	if (WIFSIGNALED(status))
		rec_str("signal", sigabbrev_np(WTERMSIG(status)) ?: "?");
	else
		rec_int("code", WEXITSTATUS(status));
	rec_int("minflt", usage->ru_minflt);
	rec_int("majflt", usage->ru_majflt);
	rec_time("utime", usage->ru_utime.tv_sec * NSEC + usage->ru_utime.tv_usec * 1000);
	rec_time("stime", usage->ru_stime.tv_sec * NSEC + usage->ru_stime.tv_usec * 1000);
	rec_int("maxrss_kb", usage->ru_maxrss);
	say_shared_vm(pid);
	rec_end();
	exited(program, comm, pid, status);
}

/* Reap every zombie child: programs, and orphans that were reparented to the agent as PID 1. */
void reap(void)
{
	for (;;) {
		const struct program *owner = NULL;
		struct program *spawned = NULL;
		struct member zombie = { .stat_fd = -1 };
		siginfo_t info = { .si_pid = 0 };
		struct rusage usage;
		int status;
		bool first;

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		zombie.pid = info.si_pid;
		read_stat(&zombie);
		for (int i = 0; i < MAX_PROGRAMS; i++) {
			if (programs[i].pid == zombie.pid && programs[i].alive)
				spawned = &programs[i];
			if (programs[i].pid && programs[i].pid == zombie.sid)
				owner = &programs[i];
		}
		for (int i = 0; i < MAX_MEMBERS && !owner; i++)
			if (members[i].pid == zombie.pid)
				owner = members[i].program;
		if (spawned) {
			owner = spawned;
			drain(spawned);
		}
		if (!owner)
			owner = ends_owner(zombie.pid);
		if (wait4(zombie.pid, &status, 0, &usage) < 0)
			return;
		first = ends_reaped(zombie.pid);
		shell_ended(zombie.pid);
		heartbeat_ended(zombie.pid);
		member_forget_pid(zombie.pid, status);
		if (spawned) {
			spawned->alive = false;
			spawned->status = status;
		}
		if (owner ? first : first && status && ends_may_be_owned(zombie.pid))
			say_exit(owner ? owner->name : "", zombie.comm, zombie.pid, status, &usage);
	}
}

/*
 * A program prints its line before it stops itself. The agent is a real-time task and preempts the program as soon as
 * the line is in the pipe. A SIGCONT sent at once would come before the stop and be lost. So CONT waits until its
 * targets are stopped.
 */
static const struct member *not_stopped(const struct program *program, const char *comm)
{
	for (struct member *m = member_of(program, comm, NULL); m; m = member_of(program, comm, m))
		if ((comm || m->pid == program->pid) && m->state != 'T')
			return m;
	return NULL;
}

static void say_sent(const struct member *m, int sig)
{
	rec_begin("signal");
	say_member(m);
	rec_str("signal", sigabbrev_np(sig) ?: "?");
	rec_end();
}

enum outcome begin_signal(struct step *step)
{
	if (parse_signal(word(step, "signal")) == SIGCONT && step->timeout == 0)
		step->timeout = 5 * NSEC;
	return check_signal(step);
}

enum outcome check_signal(struct step *step)
{
	const struct program *program = program_named(word(step, "program"));
	const char *comm = word(step, "comm");
	int sig = parse_signal(word(step, "signal")), sent = 0;

	if (!program)
		return fail(ESRCH, "%s was not spawned", word(step, "program"));
	members_refresh();
	if (sig == SIGCONT && not_stopped(program, comm)) {
		poll_again();
		return STEP_WAITING;
	}
	for (struct member *m = member_of(program, comm, NULL); m; m = member_of(program, comm, m)) {
		if (!comm && m->pid != program->pid)
			continue;
		if (kill(m->pid, sig))
			return fail(errno, "kill of %d failed", m->pid);
		if (sig != SIGCONT)
			say_sent(m, sig);
		sent++;
	}
	if (sent)
		return STEP_DONE;
	return fail(ESRCH, "%s has no process%s%s", program->name, comm ? " named " : "", comm ? comm : "");
}

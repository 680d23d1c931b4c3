// SPDX-License-Identifier: MIT
/* The verb `spawn`: start a program on pipes or on a terminal of its own, and keep it in a slot. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

/* Return the slot of a program of that name that has ended, or a free one. */
static struct program *slot_for(const char *name)
{
	struct program *program = program_named(name);

	for (int i = 0; !program && i < MAX_PROGRAMS; i++)
		if (!programs[i].pid)
			program = &programs[i];
	return program;
}

/* Start the prepared program and open its streams. Returns the pid, or -1 with errno; *failed says what failed. */
static pid_t start_on_pipes(struct program *program, bool told, const char **failed)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 }, errnum;
	pid_t pid = -1;

	*failed = "pipe";
	if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 && (!told || pipe2(in, O_CLOEXEC) == 0)) {
		pid = launch_start(in[0], out[1], err[1]);
		*failed = launch_stage;
	}
	errnum = errno;
	if (in[0] >= 0)
		close(in[0]);
	if (out[1] >= 0)
		close(out[1]);
	if (err[1] >= 0)
		close(err[1]);
	if (pid < 0) {
		if (in[1] >= 0)
			close(in[1]);
		if (out[0] >= 0)
			close(out[0]);
		if (err[0] >= 0)
			close(err[0]);
		errno = errnum;
		return -1;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	close_stream(&program->out);
	close_stream(&program->err);
	program->out.fd = out[0];
	program->err.fd = err[0];
	program->out.terminal = false;
	program->in = in[1];
	if (told)
		fcntl(in[1], F_SETFL, O_NONBLOCK);
	return pid;
}

static pid_t start_on_terminal(struct program *program, const char **failed)
{
	char slave[64];
	int master = open_terminal(slave, sizeof(slave)), errnum;
	pid_t pid;

	*failed = "pseudoterminal";
	if (master < 0)
		return -1;
	pid = launch_on_terminal(slave);
	*failed = launch_stage;
	if (pid < 0) {
		errnum = errno;
		close(master);
		errno = errnum;
		return -1;
	}
	close_stream(&program->out);
	close_stream(&program->err);
	program->out.fd = master;
	program->out.terminal = true;
	return pid;
}

static bool is_set(const struct step *step, const char *key)
{
	return word(step, key) && strcmp(word(step, key), "1") == 0;
}

enum outcome begin_spawn(struct step *step)
{
	struct program *program = slot_for(word(step, "program"));
	const char *failed = launch_prepare(step), *input = word(step, "stdin");
	bool told = input && strcmp(input, "plan") == 0;
	pid_t pid;

	if (failed)
		return fail(EINVAL, "%s", failed);
	if (program->alive)
		return fail(EEXIST, "%s is still running", word(step, "program"));
	if (program->in > 0)
		close(program->in);
	program->in = -1;
	pid = is_set(step, "tty") ? start_on_terminal(program, &failed) : start_on_pipes(program, told, &failed);
	if (pid < 0)
		return fail(errno, "%s of %s failed", failed, word(step, "arg"));
	copy_name(program->name, sizeof(program->name), word(step, "program"));
	program->pid = pid;
	program->alive = true;
	ends_own(pid, program);
	program->last_line[0] = '\0';
	program->out.verbatim = program->err.verbatim = is_set(step, "stream");
	forget_lines(program);
	rec_begin("spawn");
	rec_str("program", program->name);
	rec_int("pid", pid);
	if (word(step, "privileged"))
		rec_bool("privileged", is_set(step, "privileged"));
	rec_end();
	step->done = true;
	return STEP_DONE;
}

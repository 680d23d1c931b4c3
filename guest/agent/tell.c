// SPDX-License-Identifier: MIT
/* Speak to a program: what a later phase needs is told when that phase begins, so that a continuation can change it. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "agent.h"

/* Write a line to the standard input of a program that was spawned with stdin=plan. */
enum outcome begin_tell(struct step *step)
{
	const struct program *program = program_named(word(step, "program"));
	char line[LINE_BYTES];
	int length = snprintf(line, sizeof(line), "%s\n", word(step, "text"));

	if (!program)
		return fail(ESRCH, "%s was not spawned", word(step, "program"));
	if (program->in <= 0)
		return fail(EBADF, "%s was spawned without stdin=plan", program->name);
	if (length >= (int)sizeof(line))
		return fail(EMSGSIZE, "the line is longer than %d bytes", LINE_BYTES - 1);
	if (write(program->in, line, (size_t)length) != length)
		return fail(errno, "write to the standard input of %s failed", program->name);
	return STEP_DONE;
}

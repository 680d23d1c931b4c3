// SPDX-License-Identifier: MIT
/*
 * The processes that the kernel's events tell of, and whose they are: more than the agent can watch in /proc, and those
 * that have left it before the agent could look.
 */
#include "agent.h"

enum { LIVES = 2048, PROBES = 8 };

static struct life lives[LIVES];

struct life *life_of(pid_t pid)
{
	for (int i = 0; i < PROBES; i++)
		if (lives[(pid + i) % LIVES].pid == pid)
			return &lives[(pid + i) % LIVES];
	return NULL;
}

/* Return a slot for a new process; NULL where those that it may have are taken by living ones. */
struct life *new_life(pid_t pid, int owner, const char *comm)
{
	struct life *life = life_of(pid);

	for (int i = 0; i < PROBES && !life; i++)
		if (!lives[(pid + i) % LIVES].pid || lives[(pid + i) % LIVES].ended)
			life = &lives[(pid + i) % LIVES];
	if (!life)
		return NULL;
	*life = (struct life){ .pid = pid, .owner = (signed char)owner };
	copy_name(life->comm, sizeof(life->comm), comm);
	return life;
}

int owner_index(const struct program *program)
{
	return program ? (int)(program - programs) : OF_NOBODY_KNOWN;
}

const struct program *owner_of(const struct life *life)
{
	return life && life->owner >= 0 ? &programs[(int)life->owner] : NULL;
}

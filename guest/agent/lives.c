// SPDX-License-Identifier: MIT
/*
 * The processes that the kernel's events tell of, and whose they are: more than the agent can watch in /proc, and those
 * that have left it before the agent could look.
 */
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

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

void each_life(void (*each)(struct life *life))
{
	for (int i = 0; i < LIVES; i++)
		if (lives[i].pid)
			each(&lives[i]);
}

/* A process was forked: note whether it has the address space of its parent (CLONE_VM, or vfork until it has ended). */
void share_vm(struct life *parent, struct life *child)
{
	static int numbers;

	if (!child || child == parent || syscall(SYS_kcmp, parent->pid, child->pid, KCMP_VM, 0, 0) != 0)
		return;
	if (!parent->vm)
		parent->vm = ++numbers;
	child->vm = parent->vm;
}

/* Return whether another process had the address space of this one to its end, or has it now. */
bool shared_vm(pid_t pid)
{
	const struct life *life = life_of(pid);

	for (int i = 0; life && life->vm && i < LIVES; i++)
		if (&lives[i] != life && lives[i].vm == life->vm)
			return true;
	return false;
}

/* Into a record of a process: the number of its address space, where it is not its own alone. */
void say_shared_vm(pid_t pid)
{
	if (shared_vm(pid))
		rec_int("vm", life_of(pid)->vm);
}

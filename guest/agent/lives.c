// SPDX-License-Identifier: MIT
/*
 * The processes that the kernel's events tell of, and whose they are: more than the agent can watch in /proc, and those
 * that have left it before the agent could look.
 */
#include <linux/kcmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

enum { FEWEST = 2048, MOST = 65536, PROBES = 64 };

static struct life *lives;
static int slots;		/* a power of two */
static int64_t left_out;	/* processes for which there was no slot */

/*
 * Make the table as large as the kernel lets there be processes: kernel.threads-max, which set_max_threads() of
 * kernel/fork.c takes from the memory. In a guest of 512 MB these are 4096 slots of 28 bytes.
 */
bool lives_open(void)
{
	char text[32];
	long most = slurp("/proc/sys/kernel/threads-max", text, sizeof(text)) > 0 ? strtol(text, NULL, 10) : 0;
	int wanted = FEWEST;

	while (wanted < most && wanted < MOST)
		wanted *= 2;
	lives = mmap(NULL, (size_t)wanted * sizeof(*lives), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (lives == MAP_FAILED)
		return false;
	slots = wanted;
	return true;
}

static struct life *slot(pid_t pid, int probe)
{
	return &lives[(pid + probe) & (slots - 1)];
}

struct life *life_of(pid_t pid)
{
	for (int i = 0; slots && i < PROBES; i++)
		if (slot(pid, i)->pid == pid)
			return slot(pid, i);
	return NULL;
}

/* Return a slot for a new process; NULL where those that it may have are taken by living ones. */
struct life *new_life(pid_t pid, int owner, const char *comm)
{
	struct life *life = life_of(pid);

	for (int i = 0; slots && i < PROBES && !life; i++)
		if (!slot(pid, i)->pid || slot(pid, i)->ended)
			life = slot(pid, i);
	if (!life) {
		left_out++;
		return NULL;
	}
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
	for (int i = 0; i < slots; i++)
		if (lives[i].pid)
			each(&lives[i]);
}

/*
 * A process was forked: note whether it has the address space of its parent (CLONE_VM, or vfork until it has ended).
 * thread: the one of the parent that forked. The first thread of a process has no memory any more when it has ended.
 */
void share_vm(struct life *parent, pid_t thread, struct life *child)
{
	static int numbers;

	if (!child || child == parent)
		return;
	if (syscall(SYS_kcmp, thread, child->pid, KCMP_VM, 0, 0) != 0 &&
	    syscall(SYS_kcmp, parent->pid, child->pid, KCMP_VM, 0, 0) != 0)
		return;
	if (!parent->vm)
		parent->vm = ++numbers;
	child->vm = parent->vm;
}

/* Return whether another process had the address space of this one to its end, or has it now. */
bool shared_vm(pid_t pid)
{
	const struct life *life = life_of(pid);

	for (int i = 0; life && life->vm && i < slots; i++)
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

/* Into the record `end`: how many processes were not followed. */
void say_lives_left_out(void)
{
	rec_int("lives_left_out", left_out);
}

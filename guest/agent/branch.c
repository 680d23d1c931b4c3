// SPDX-License-Identifier: MIT
/*
 * Branch points. A device of its own is blank in an ordinary run. For a run that is to be saved at a point of the plan,
 * the host writes into it which point that is; the agent stops the machine there, and the host saves the guest. Each
 * restored guest finds a continuation in the device: other steps in place of those that were still to come.
 *
 * Up to the point a run that is saved executes the same instructions as the ordinary run: the device is read in both,
 * and the two numbers in it are compared in both. So both have the same past, to the byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/io.h>
#include <unistd.h>

#include "agent.h"

enum { BLOCK = 4096, HEADER_AT = 2048, TEXT_AT = BLOCK };

/* The I/O port of QEMU's pvpanic and its bit for a panic (docs/specs/pvpanic.rst): QEMU then stops the machine. */
enum { PVPANIC_PORT = 0x505, PVPANIC_PANICKED = 1 };

/* "rig:stop" as eight bytes, the first of them the highest: QEMU saves registers in that order. */
#define STOP_MARK 0x7269673a73746f70

/*
 * At HEADER_AT, so that the places at which filesystems have their magic stay zero in every run.
 * stop_step: one more than the index of the step before which the machine stops; 0 for no stop.
 * stop_record: one more than the number of the record after which it stops, at the next event; 0 for no stop.
 */
struct header {
	char magic[8];
	uint64_t stop_step, stop_record;
	uint32_t first;		/* the index of the first step that the continuation replaces */
	uint32_t length;	/* bytes of its text */
};

static const char continues[] = "rig:next";
static char block[BLOCK] __attribute__((aligned(BLOCK)));
static char device[32];
static struct header header;

static bool read_header(int fd)
{
	if (pread(fd, block, BLOCK, 0) != BLOCK)
		return false;
	memcpy(&header, block + HEADER_AT, sizeof(header));
	return true;
}

void branch_open(const char *path, int fd)
{
	copy_name(device, sizeof(device), path);
	read_header(fd);
}

bool branch_before(int step)
{
	return header.stop_step == (uint64_t)step + 1;
}

/* header.stop_record - 1 is the largest number where no stop is asked for. */
bool branch_now(void)
{
	return rec_number() > header.stop_record - 1;
}

/*
 * QEMU stops at the instruction outb. It may have moved its clock to the next timer by then: the virtual CPU counts as
 * idle once it has stopped, and the main loop skips idle time before it sees that the machine is to stop
 * (icount_start_warp_timer() and cpu_thread_is_idle(), softmmu/ of QEMU 7.2). So r14 holds a mark and r15 the time stamp
 * counter, which is QEMU's clock here: rig/machine/icount.py finds them in what is saved, and puts the clock back.
 *
 * icount.py adds the six instructions from rdtsc to outb (TO_THE_STOP): change both together. It would also take an
 * interrupt between the two for a jump of the clock; they are 48 ns apart, so such an interrupt is unlikely.
 *
 * Programs must not inherit the right to the port, so it is given back at once.
 */
static bool stop_machine(void)
{
	if (ioperm(PVPANIC_PORT, 1, 1))
		return false;
	__asm__ volatile("movabs %[mark], %%r14\n\t"
			 "rdtsc\n\t"
			 "mov %%eax, %%r15d\n\t"
			 "shl $32, %%rdx\n\t"
			 "or %%rdx, %%r15\n\t"
			 "mov %[panicked], %%eax\n\t"
			 "mov %[port], %%edx\n\t"
			 "outb %%al, %%dx"
			 :
			 : [mark] "i"(STOP_MARK), [panicked] "i"(PVPANIC_PANICKED), [port] "i"(PVPANIC_PORT)
			 : "rax", "rdx", "r14", "r15", "cc", "memory");
	ioperm(PVPANIC_PORT, 1, 0);
	return true;
}

static void say_problem(int line, const char *text)
{
	rec_begin("bad_plan");
	rec_int("line", line);
	rec_str("problem", text);
	rec_end();
}

static bool refuse(const char *what)
{
	say_problem(0, what);
	return false;
}

static bool read_text(int fd, char *to)
{
	for (size_t at = 0; at < header.length; at += BLOCK) {
		size_t piece = header.length - at < BLOCK ? header.length - at : BLOCK;

		if (pread(fd, block, BLOCK, (off_t)(TEXT_AT + at)) != BLOCK)
			return false;
		memcpy(to + at, block, piece);
	}
	return true;
}

static bool continue_with(int fd, int step)
{
	size_t room;
	char *text;

	if (!read_header(fd))
		return refuse("the continuation cannot be read");
	if (memcmp(header.magic, continues, sizeof(header.magic)) != 0)
		return refuse("there is no continuation");
	if (header.first != (uint32_t)step)
		return refuse("the continuation is for another point of the plan");
	text = plan_room(step, &room);
	if (header.length >= room)
		return refuse("the plan and its continuation are larger than 128 KiB");
	if (!read_text(fd, text))
		return refuse("the continuation cannot be read");
	return plan_replace(step, header.length, say_problem) == 0;
}

bool branch_here(int step)
{
	bool good;
	int fd;

	rec_begin("stop");
	rec_int("step", step);
	rec_end();
	port_drain(5 * NSEC);
	if (!stop_machine()) {
		say_problem(0, "this kernel does not let the agent write to an I/O port (ioperm)");
		return false;
	}
	fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
	good = fd >= 0 ? continue_with(fd, step) : refuse("the continuation's device is gone");
	if (fd >= 0)
		close(fd);
	rec_begin("continue");
	rec_int("step", step);
	rec_int("steps", plan.count - step);
	rec_end();
	return good;
}

enum outcome begin_branch(struct step *step)
{
	rec_begin("branch");
	rec_str("name", word(step, "name"));
	rec_end();
	return STEP_DONE;
}

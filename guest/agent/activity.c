// SPDX-License-Identifier: MIT
/*
 * Count what the threads of a process do to an array: page faults, and system calls that take pages away or bring others.
 *
 * A copy on write begins with a write fault on a page that is there (bits 0 and 1 of the error code, X86_PF_PROT and
 * X86_PF_WRITE of arch/x86/include/asm/trap_pf.h), a new page with a fault on one that is absent. The tracepoints
 * page_fault_user and page_fault_kernel report the error code (arch/x86/include/asm/trace/exceptions.h, later
 * include/trace/events/exceptions.h).
 *
 * System calls that write to the array through its page tables (O_DIRECT, io_uring, MADV_POPULATE_WRITE) fault without an
 * exception. mm_account_fault() of mm/memory.c counts these faults in minflt, and leaves them out of perf's minor faults:
 * the difference. They copy pages that are there and bring absent ones. Pages that were there are absent only after the
 * process has dropped them (madvise, munmap, mmap with MAP_FIXED, mremap), so that without such a call all count as copies.
 *
 * Pages also come without any fault: mremap(2) with MREMAP_FIXED moves others into the array's place, and the ioctls of
 * userfaultfd(2) fill it. Whoever handles a userfaultfd may be any process, so those of all count.
 */
#include <linux/perf_event.h>
#include <stdio.h>

#include "agent.h"

/* The address of a fault, and of a system call that changes a mapping, which may be of any length. */
#define IN_ARRAY "address >= 0x%llx && address < 0x%llx"

enum { FAULTS = 2, DROPS = 4 };

static const char *const tracepoints[FAULTS] = { "exceptions/page_fault_user", "exceptions/page_fault_kernel" };

/* MADV_DONTNEED, FREE, REMOVE, PAGEOUT, DONTNEED_LOCKED; MAP_FIXED (include/uapi/asm-generic/mman-common.h). */
static const struct { const char *name, *filter; } drops[DROPS] = {
	{ "syscalls/sys_enter_madvise", "behavior == 4 || behavior == 8 || behavior == 9 || behavior == 21 || behavior == 24" },
	{ "syscalls/sys_enter_mmap", "flags & 16" },
	{ "syscalls/sys_enter_munmap", NULL },
	{ "syscalls/sys_enter_mremap", NULL },
};

/* UFFDIO_COPY, ZEROPAGE and MOVE (include/uapi/linux/userfaultfd.h). */
static const char fills[] = "cmd == 0xc028aa03 || cmd == 0xc020aa04 || cmd == 0xc028aa05";

static long fault_ids[FAULTS], drop_ids[DROPS], ioctl_id;	/* 0: this kernel does not have it */
static struct everywhere filled;

/* To be called while tracefs is open. */
void prepare_activity(void)
{
	for (int i = 0; i < FAULTS; i++)
		fault_ids[i] = tracepoint_id(tracepoints[i]);
	for (int i = 0; i < DROPS; i++)
		drop_ids[i] = tracepoint_id(drops[i].name);
	ioctl_id = tracepoint_id("syscalls/sys_enter_ioctl");
	count_everywhere(&filled, ioctl_id, fills);
}

/* Return whether this kernel can count the faults of a process by what they begin with. */
bool counts_faults(void)
{
	return fault_ids[0] > 0 && fault_ids[1] > 0;
}

/*
 * Return the process as it is now, or as it was when it ended, which its entry in the table tells until it is used for
 * another one. NULL: it is not known any more.
 */
static const struct member *last_known(const struct activity *of)
{
	for (int i = 0; i < MAX_MEMBERS; i++) {
		struct member *m = &members[i];

		if (m->pid != of->pid || m->started != of->started)
			continue;
		if (m->stat_fd >= 0)
			read_stat(m);
		return m;
	}
	return NULL;
}

static char absent_filter[128], copy_filter[160], move_filter[64];

/* Count the calls of a thread and of those that it creates; before 5.13 only of processes too (see count_of_thread()). */
static int count_calls(pid_t thread, long id, const char *filter)
{
	int fd;

	if (id <= 0)
		return -1;
	fd = count_of_thread(thread, PERF_TYPE_TRACEPOINT, (uint64_t)id, filter, false);
	return fd >= 0 ? fd : count_of_thread(thread, PERF_TYPE_TRACEPOINT, (uint64_t)id, filter, true);
}

static void count_thread(pid_t thread, void *with)
{
	struct activity *counting = with;
	struct thread_activity *of = &counting->of[counting->threads];

	if (!counting->known)
		return;
	if (counting->threads == MAX_THREADS) {
		counting->known = false;
		return;
	}
	counting->threads++;
	for (int i = 0; i < FAULTS; i++) {
		/* Of processes too: one with CLONE_VM may write in its place. What others do counts as well, if anything. */
		of->absent[i] = count_of_thread(thread, PERF_TYPE_TRACEPOINT, (uint64_t)fault_ids[i], absent_filter, true);
		of->copies[i] = count_of_thread(thread, PERF_TYPE_TRACEPOINT, (uint64_t)fault_ids[i], copy_filter, true);
		counting->known = counting->known && of->absent[i] >= 0 && of->copies[i] >= 0;
	}
	of->minor = count_of_thread(thread, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN, NULL, false);
	if (of->minor < 0) {
		of->minor = count_of_one_thread(thread, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN);
		counting->one_thread = true;
	}
	counting->known = counting->known && of->minor >= 0;
	for (int i = 0; i < DROPS; i++)
		of->drops[i] = count_calls(thread, drop_ids[i], drops[i].filter);
	of->moves = count_calls(thread, drop_ids[DROPS - 1], move_filter);
}

/* Count from now on, where the kernel can count. */
void count_activity(struct activity *of, const struct member *m, uint64_t start, uint64_t end)
{
	const unsigned long long first = start, after = end;
	const struct member *now;
	char tasks[64];

	snprintf(absent_filter, sizeof(absent_filter), "!(error_code & 1) && " IN_ARRAY, first, after);
	snprintf(copy_filter, sizeof(copy_filter), "error_code & 1 && error_code & 2 && " IN_ARRAY, first, after);
	/* MREMAP_FIXED. What comes may be longer than the array and begin before it. */
	snprintf(move_filter, sizeof(move_filter), "flags & 2 && new_addr < 0x%llx", after);
	snprintf(tasks, sizeof(tasks), "/proc/%d/task", m->pid);
	*of = (struct activity){ .pid = m->pid, .started = m->started, .known = counts_faults() };
	of->filled = count_of_all(&filled);
	each_number(tasks, count_thread, of);
	now = last_known(of);
	/* A thread that was created meanwhile by one that was not counted yet. */
	of->known = of->known && now && now->threads == of->threads;
	if (now)
		of->minflt = now->minflt;
}

static int64_t count_of(const int *fds, int many)
{
	int64_t sum = 0;

	for (int i = 0; i < many; i++)
		sum += fds[i] >= 0 ? event_count(fds[i]) : 0;
	return sum;
}

/* Read what was counted. Returns false where it is not known. */
bool read_activity(const struct activity *of, struct activity_counts *counts)
{
	const struct member *now = of->known ? last_known(of) : NULL;
	int64_t minor = 0, dropped = 0, silent;
	bool all = true;

	/* MADV_POPULATE_WRITE by a process that shares the memory is in its own minflt. */
	if (!now || (of->one_thread && now->threads != 1) || shared_vm(of->pid))
		return false;
	*counts = (struct activity_counts){ .brought_others = count_of_all(&filled) - of->filled };
	for (const struct thread_activity *thread = of->of; thread < of->of + of->threads; thread++) {
		counts->fresh += count_of(thread->absent, FAULTS);
		counts->copies += count_of(thread->copies, FAULTS);
		counts->brought_others += count_of(&thread->moves, 1);
		minor += event_count(thread->minor);
		dropped += count_of(thread->drops, DROPS);
		for (int i = 0; i < DROPS; i++)
			all = all && thread->drops[i] >= 0;
	}
	silent = (int64_t)(now->minflt - of->minflt) - minor;
	if (silent > 0 && all && !dropped)
		counts->copies += silent;
	else if (silent > 0)
		counts->fresh += silent;
	return true;
}

// SPDX-License-Identifier: MIT
/* What a mapping is charged to Committed_AS, and when the charge is given back. */
#include "verify.h"

/* ---- mappings ---- */

/* Map memory, and report what was charged and the mapping's flags in smaps. */
static char *charge_of(long bytes, int prot, int flags)
{
	long before = committed();
	char *at = map(bytes, prot, flags);

	tell("mapped=%ld charged=%ld", bytes / KB, committed() - before);
	tell("writable=%ld shared=%ld", vm_flag(at, "wr"), vm_flag(at, "sh"));
	return at;
}

static int private_or_shared(void)
{
	return condition("private") ? MAP_PRIVATE : MAP_SHARED;
}

static void readonly_free(void)
{
	charge_of(16 * MB, condition("readonly") ? PROT_READ : RW, private_or_shared() | MAP_ANONYMOUS);
}

static void anon_charged(void)
{
	char *at = charge_of(16 * MB, condition("writable") ? RW : PROT_READ, private_or_shared() | MAP_ANONYMOUS);

	tell("resident=%ld", resident(at, 16 * MB));
}

static void shared_anon(void)
{
	/* The kernel charges a shared mapping even when it is read-only; a private read-only mapping is free. */
	charge_of(16 * MB, condition("readonly") ? PROT_READ : RW, (condition("shared") ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS);
}

/* Map a sparse file of 256 kB: it has no page, so the file itself is charged nothing. */
static void file_mapping(int prot, int flags)
{
	int fd = memfd_create("verify", MFD_CLOEXEC);
	long before;
	void *at;

	needs("memfd_create", fd < 0 ? errno : 0, ENOSYS);
	if (ftruncate(fd, 256 * KB))
		refused("ftruncate");
	before = committed();
	at = mmap(NULL, 256 * KB, prot, flags, fd, 0);
	if (at == MAP_FAILED)
		refused("mmap");
	tell("mapped=%ld charged=%ld", 256L, committed() - before);
	tell("writable=%ld shared=%ld", vm_flag(at, "wr"), vm_flag(at, "sh"));
}

static void file_readonly(void)
{
	file_mapping(condition("readonly") ? PROT_READ : RW, private_or_shared());
}

static void file_writable(void)
{
	file_mapping(condition("writable") ? RW : PROT_READ, private_or_shared());
}

static void file_shared(void)
{
	file_mapping(condition("writable") ? RW : PROT_READ, condition("shared") ? MAP_SHARED : MAP_PRIVATE);
}

static void mprotect_charges(bool write)
{
	long before = committed(), readonly, writable, again;
	char *at = map(8 * MB, PROT_READ, ANON);

	readonly = committed() - before;
	if (condition("mprotect") && mprotect(at, 8 * MB, RW))
		refused("mprotect");
	writable = committed() - before;
	tell("writable_flag=%ld", vm_flag(at, "wr"));
	if (write)
		*(volatile char *)at = 1;
	if (mprotect(at, 8 * MB, PROT_READ))
		refused("mprotect");
	again = committed() - before;
	tell("mapped=%ld readonly=%ld writable=%ld readonly_again=%ld resident=%ld", 8 * KB, readonly, writable, again,
	     resident(at, 8 * MB));
}

static void mprotect_touched(void)
{
	/* The mutant of "mprotect" would be killed by the write; that of "touch" is the other check. */
	mprotect_charges(condition("touch"));
}

static void mprotect_untouched(void)
{
	mprotect_charges(!condition("untouched"));
}

static void noreserve(long mode)
{
	long before;

	require_vm("overcommit_ratio", 80);
	given_vm("overcommit_memory", mode, mode == 2 ? 0 : 2);
	charge_of(16 * MB, condition("writable") ? RW : PROT_READ, ANON | (condition("noreserve") ? MAP_NORESERVE : 0));
	/* The control: the same without the flag. */
	before = committed();
	map(16 * MB, RW, ANON);
	tell("control_reserved=%ld", committed() - before);
}

static void noreserve_0(void)
{
	noreserve(0);
}

static void noreserve_1(void)
{
	noreserve(1);
}

/* MAP_NORESERVE has no effect in mode 2, so a mapping in mode 0, where it has one, proves that the flag was given. */
static void noreserve_2(void)
{
	const int flag = condition("noreserve") ? MAP_NORESERVE : 0;
	long before, charged;

	require_vm("overcommit_ratio", 80);
	given_vm("overcommit_memory", 2, 0);
	before = committed();
	map(16 * MB, RW, ANON | flag);
	charged = committed() - before;
	require_vm("overcommit_memory", 0);
	before = committed();
	map(16 * MB, RW, ANON | flag);
	tell("mapped=%ld charged=%ld control_mode0=%ld", 16 * KB, charged, committed() - before);
}

static void mremap_charges(void)
{
	char *at = map(4 * MB, condition("writable") ? RW : PROT_READ, ANON);
	long before = committed(), grown;

	at = mremap(at, 4 * MB, 12 * MB, MREMAP_MAYMOVE);
	if (at == MAP_FAILED)
		refused("mremap");
	grown = committed() - before;
	if (mremap(at, 12 * MB, 4 * MB, 0) == MAP_FAILED)
		refused("mremap");
	tell("grown=%ld charged=%ld after=%ld", 8 * KB, grown, committed() - before);
}

static void brk_charges(void)
{
	long before = committed(), size = condition("grow") ? 8 * MB : 0, grown;
	char *from = sbrk(0), *to;

	if (sbrk(size) == (void *)-1)
		refused("brk");
	grown = committed() - before;
	to = sbrk(0);
	if (sbrk(-size) == (void *)-1)
		refused("brk");
	tell("grown=%ld charged=%ld after=%ld", (long)(to - from) / KB, grown, committed() - before);
}

__attribute__((noinline))
static long deep(void)
{
	volatile char room[4 * MB];

	for (long at = sizeof(room) - 1; at >= 0; at -= PAGE)
		room[at] = 1;
	return committed();
}

static void stack_charges(void)
{
	long before = committed(), stack = number_in("/proc/self/status", "VmStk");
	long after = condition("grow") ? deep() : committed();

	tell("grown=%ld charged=%ld", number_in("/proc/self/status", "VmStk") - stack, after - before);
	/* The control: the same call, for which the stack need not grow any more. */
	tell("control_again=%ld", deep() - after);
}

static void munmap_returns(void)
{
	long before = committed(), mapped;
	char *at = map(16 * MB, RW, ANON);

	mapped = committed() - before;
	if (condition("munmap") && munmap(at + 4 * MB, 8 * MB))
		refused("munmap");
	tell("mapped=%ld charged=%ld unmapped=%ld left=%ld", 16 * KB, mapped, 8 * KB, committed() - before);
}

static void map_fixed(void)
{
	long before = committed();
	char *at = map(16 * MB, RW, ANON);

	tell("mapped=%ld first=%ld", 16 * KB, committed() - before);
	if (mmap(condition("over") ? at : NULL, 16 * MB, RW, ANON | (condition("over") ? MAP_FIXED : 0), -1, 0) == MAP_FAILED)
		refused("mmap");
	tell("charged=%ld", committed() - before);
	/* The control: the same beside them. */
	map(16 * MB, RW, ANON);
	tell("control_beside=%ld", committed() - before);
}

static void exit_returns(void)
{
	int ready[2];
	long before = committed(), during;
	char byte;
	pid_t pid;

	if (pipe(ready))
		refused("pipe");
	pid = fork();
	if (pid == 0) {
		map(16 * MB, RW, ANON);
		if (write(ready[1], "x", 1) < 0)
			_exit(EXIT_REFUSED);
		for (;;)
			pause();
	}
	if (pid < 0 || read(ready[0], &byte, 1) < 0)
		refused("fork");
	during = committed() - before;
	if (condition("exit")) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	tell("mapped=%ld during=%ld after=%ld", 16 * KB, during, committed() - before);
	kill(pid, SIGKILL);
}

static void dontneed_keeps(void)
{
	long before = committed(), touched, after;
	char *at = map(8 * MB, RW, ANON);

	if (condition("touch"))
		touch(at, 8 * MB);
	touched = resident(at, 8 * MB);
	if (condition("madvise") && madvise(at, 8 * MB, MADV_DONTNEED))
		refused("madvise");
	after = committed() - before;
	tell("mapped=%ld touched=%ld resident=%ld charged=%ld", 8 * KB, touched, resident(at, 8 * MB), after);
	munmap(at, 8 * MB);
	tell("control_unmapped=%ld", committed() - before);
}

const struct check commit_checks[] = {
	{ "anon-charged", anon_charged, "writable private", true },
	{ "readonly-free", readonly_free, "readonly private", true },
	{ "shared-anon", shared_anon, "readonly shared", true },
	{ "file-readonly-free", file_readonly, "readonly private", true },
	{ "file-writable", file_writable, "writable private", true },
	{ "file-shared-free", file_shared, "writable shared", true },
	{ "mprotect-touched", mprotect_touched, "mprotect touch", true },
	{ "mprotect-untouched", mprotect_untouched, "mprotect untouched", true },
	{ "noreserve-mode0", noreserve_0, "overcommit_memory writable noreserve", false },
	{ "noreserve-mode1", noreserve_1, "overcommit_memory writable noreserve", false },
	{ "noreserve-mode2", noreserve_2, "overcommit_memory noreserve", false },
	{ "mremap", mremap_charges, "writable", true },
	{ "brk", brk_charges, "grow", true },
	{ "stack", stack_charges, "grow", true },
	{ "munmap", munmap_returns, "munmap", true },
	{ "map-fixed", map_fixed, "over", true },
	{ "exit", exit_returns, "exit", true },
	{ "dontneed", dontneed_keeps, "touch madvise", true },
	{ 0 },
};

// SPDX-License-Identifier: MIT
/* verify-commit: what the kernel charges and what it refuses, measured for the checks of `rig verify overcommit`. */
#include <sched.h>
#include <sys/ipc.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "verify.h"

static const char help[] =
	"usage: verify-commit CHECK…\n"
	"Measures each check in a process of its own and says its numbers: 'check NAME key=value …', sizes in kB.\n"
	"As root, in a guest: it changes the sysctls of overcommit.\n";

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static const char *check;	/* the one that runs now */

static long committed(void)
{
	return meminfo("Committed_AS");
}

static char *map(long bytes, int prot, int flags)
{
	char *at = mmap(NULL, (size_t)bytes, prot, flags, -1, 0);

	if (at == MAP_FAILED)
		refused(check);
	return at;
}

/* 0, or the errno of the refusal; nothing stays mapped. */
static int try_map(long bytes, int flags)
{
	void *at = mmap(NULL, (size_t)bytes, RW, flags, -1, 0);

	if (at == MAP_FAILED)
		return errno;
	munmap(at, (size_t)bytes);
	return 0;
}

/* The largest single mapping that the kernel grants, in kB. */
static long largest(long high_kb)
{
	long low = 0, high = high_kb / 4 + 1;

	while (high - low > 1) {
		long middle = low + (high - low) / 2;

		if (try_map(middle * PAGE, ANON) == 0)
			low = middle;
		else
			high = middle;
	}
	return low * 4;
}

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		refused("sched_setaffinity");
}

/* kB of this process's mappings that are charged: those with the flag "ac" (VM_ACCOUNT) in smaps. */
static long accounted(void)
{
	char *line = slurp("/proc/self/smaps"), *end;
	long size = 0, sum = 0;

	for (; line && *line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (strncmp(line, "Size:", 5) == 0)
			size = strtol(line + 5, NULL, 10);
		else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " ac"))
			sum += size;
	}
	return sum;
}

/* ---- the modes ---- */

static void mode0_single(void)
{
	long total = meminfo("MemTotal"), swap = meminfo("SwapTotal"), most = largest(4 * (total + swap));

	say("check %s total=%ld swap=%ld largest=%ld errno=%d", check, total, swap, most, try_map((most + 4) * KB, ANON));
}

static void mode0_sum(void)
{
	long total = meminfo("MemTotal"), before = committed(), each = total * 3 / 4 / 4 * 4;

	map(each * KB, RW, ANON);
	map(each * KB, RW, ANON);
	say("check %s total=%ld each=%ld charged=%ld", check, total, each, committed() - before);
}

static void mode1_any(void)
{
	long total = meminfo("MemTotal"), before = committed();
	int err;

	set_vm("overcommit_memory", 1);
	err = try_map(64 * total * KB, ANON);
	say("check %s total=%ld asked=%ld errno=%d left=%ld", check, total, 64 * total, err, committed() - before);
}

/* Mode 2 with nothing set aside but what a check sets. */
static void strict(void)
{
	set_vm("overcommit_ratio", 80);
	set_vm("user_reserve_kbytes", 0);
	set_vm("admin_reserve_kbytes", 0);
	set_vm("overcommit_memory", 2);
}

static void mode2_single(void)
{
	long before, limit, most;

	strict();
	before = committed();
	limit = meminfo("CommitLimit");
	most = largest(4 * limit);
	say("check %s limit=%ld committed=%ld largest=%ld errno=%d", check, limit, before, most,
	    try_map((most + 4) * KB, ANON));
}

static void mode2_sum(void)
{
	long before, limit, half;
	int first, second;

	strict();
	before = committed();
	limit = meminfo("CommitLimit");
	half = (limit - before) * 6 / 10 / 4 * 4;
	first = mmap(NULL, (size_t)(half * KB), RW, ANON, -1, 0) == MAP_FAILED ? errno : 0;
	second = try_map(half * KB, ANON);
	say("check %s limit=%ld committed=%ld each=%ld first=%d second=%d", check, limit, before, half, first, second);
}

static void mode2_within(void)
{
	long before, limit, most;
	int err;

	strict();
	before = committed();
	limit = meminfo("CommitLimit");
	most = (limit - before) * 9 / 10 / 4 * 4;
	err = mmap(NULL, (size_t)(most * KB), RW, ANON, -1, 0) == MAP_FAILED ? errno : 0;
	say("check %s limit=%ld asked=%ld errno=%d charged=%ld", check, limit, most, err, committed() - before);
}

static void mode_range(void)
{
	int err = set_vm("overcommit_memory", 3);

	say("check %s errno=%d mode=%ld", check, err, get_vm("overcommit_memory"));
}

static void switch_above(void)
{
	long total = meminfo("MemTotal"), limit, now;
	volatile char *memory;
	int err, more, after;

	set_vm("overcommit_memory", 1);
	memory = map(2 * total * KB, RW, ANON);
	err = set_vm("overcommit_memory", 2);
	limit = meminfo("CommitLimit");
	now = committed();
	memory[0] = 1;
	more = try_map(PAGE, ANON);
	munmap((void *)memory, (size_t)(2 * total * KB));
	after = try_map(PAGE, ANON);
	say("check %s errno=%d limit=%ld committed=%ld wrote=%d more=%d after=%d", check, err, limit, now, 1, more, after);
}

/* ---- CommitLimit ---- */

static void say_limit(const char *also, long value)
{
	say("check %s total=%ld swap=%ld huge=%ld %s=%ld limit=%ld", check, meminfo("MemTotal"), meminfo("SwapTotal"),
	    meminfo("HugePages_Total") * meminfo("Hugepagesize"), also, value, meminfo("CommitLimit"));
}

static void limit_ratio(void)
{
	static const long ratios[] = { 0, 37, 50, 100, 150 };
	long total = meminfo("MemTotal"), swap = meminfo("SwapTotal"), limits[5];

	for (int i = 0; i < 5; i++) {
		set_vm("overcommit_ratio", ratios[i]);
		limits[i] = meminfo("CommitLimit");
	}
	say("check %s total=%ld swap=%ld at_0=%ld at_37=%ld at_50=%ld at_100=%ld at_150=%ld", check, total, swap,
	    limits[0], limits[1], limits[2], limits[3], limits[4]);
}

static void limit_kbytes(void)
{
	set_vm("overcommit_kbytes", 65536);
	say_limit("kbytes", 65536);
}

static void limit_swap(void)
{
	set_vm("overcommit_ratio", 50);
	say_limit("ratio", 50);
}

static void limit_hugetlb(void)
{
	set_vm("overcommit_ratio", 50);
	set_vm("nr_hugepages", 4);
	say_limit("ratio", 50);
	set_vm("nr_hugepages", 0);
}

static void limit_kbytes_hugetlb(void)
{
	set_vm("overcommit_kbytes", 65536);
	set_vm("nr_hugepages", 4);
	say_limit("kbytes", 65536);
	set_vm("nr_hugepages", 0);
}

static void exclusive(void)
{
	long ratio, kbytes;

	set_vm("overcommit_ratio", 50);
	set_vm("overcommit_kbytes", 65536);
	ratio = get_vm("overcommit_ratio");
	set_vm("overcommit_ratio", 50);
	kbytes = get_vm("overcommit_kbytes");
	say("check %s ratio_after_kbytes=%ld kbytes_after_ratio=%ld", check, ratio, kbytes);
}

/* ---- reserves ---- */

/* The largest mapping that a process without CAP_SYS_ADMIN gets, measured in a child of that kind. */
static long largest_as_nobody(long high_kb)
{
	long *found = (long *)map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS), most;
	pid_t pid = fork();

	if (pid < 0)
		refused("fork");
	if (pid == 0) {
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(EXIT_REFUSED);
		*found = largest(high_kb);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	most = *found;
	munmap(found, PAGE);
	return most;
}

static void admin_reserve(void)
{
	long limit, none, some, root, reserve = 8192;

	strict();
	limit = meminfo("CommitLimit");
	none = largest_as_nobody(4 * limit);
	set_vm("admin_reserve_kbytes", reserve);
	some = largest_as_nobody(4 * limit);
	root = largest(4 * limit);
	say("check %s reserve=%ld nobody_without=%ld nobody_with=%ld root_with=%ld root_without=%ld", check, reserve, none,
	    some, root, (set_vm("admin_reserve_kbytes", 0), largest(4 * limit)));
}

static void user_reserve(long reserve)
{
	long limit, none, some, vm;

	strict();
	limit = meminfo("CommitLimit");
	/* Address space that is not charged: nobody may write to it. */
	map(512 * MB, PROT_NONE, ANON);
	vm = number_in("/proc/self/status", "VmSize");
	none = largest(4 * limit);
	set_vm("user_reserve_kbytes", reserve);
	some = largest(4 * limit);
	say("check %s reserve=%ld vm=%ld without=%ld with=%ld", check, reserve, vm, none, some);
}

static void user_reserve_bound(void)
{
	user_reserve(8192);
}

static void user_reserve_share(void)
{
	user_reserve(1024 * 1024);
}

/* ---- the counter is one a CPU ---- */

static void percpu_slack(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), limit, number = 0;

	strict();
	limit = meminfo("CommitLimit");
	for (; number < 100000; number++) {
		on_cpu((int)(number % cpus));
		if (mmap(NULL, 16 * PAGE, RW, ANON, -1, 0) == MAP_FAILED)
			break;
	}
	say("check %s cpus=%ld total=%ld limit=%ld step=64 committed=%ld mappings=%ld", check, cpus,
	    meminfo("MemTotal"), limit, committed(), number);
}

/* ---- fork, vfork, clone ---- */

/* What Committed_AS has grown by while a child of this process lives, and the errno of the fork. */
static long grown_by_fork(int *err)
{
	int hold[2];
	long before = committed(), grown;
	char byte;
	pid_t pid;

	if (pipe(hold))
		refused("pipe");
	pid = fork();
	*err = pid < 0 ? errno : 0;
	if (pid == 0) {
		close(hold[1]);
		_exit(read(hold[0], &byte, 1) < 0);
	}
	grown = committed() - before;
	close(hold[0]);
	close(hold[1]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return grown;
}

static void fork_charged(void)
{
	long size = 32 * MB, expected, grown;
	int err;

	map(size, RW, ANON);
	expected = accounted();
	grown = grown_by_fork(&err);
	say("check %s mapped=%ld accounted=%ld charged=%ld errno=%d", check, size / KB, expected, grown, err);
}

static void fork_shared(void)
{
	long expected, grown;
	int err;

	map(32 * MB, RW, MAP_SHARED | MAP_ANONYMOUS);
	expected = accounted();
	grown = grown_by_fork(&err);
	say("check %s mapped=%ld accounted=%ld charged=%ld errno=%d", check, 32 * KB, expected, grown, err);
}

static void fork_refused(void)
{
	long limit, before, size;
	int strict_err, guess_err;

	strict();
	limit = meminfo("CommitLimit");
	before = committed();
	size = (limit - before) * 6 / 10 / 4 * 4;
	map(size * KB, RW, ANON);
	grown_by_fork(&strict_err);
	set_vm("overcommit_memory", 0);
	grown_by_fork(&guess_err);
	say("check %s limit=%ld committed=%ld held=%ld errno=%d errno_mode0=%d", check, limit, before, size, strict_err,
	    guess_err);
}

static volatile long seen_by_child;
static int hold_child[2];

static int look(void *unused)
{
	(void)unused;
	seen_by_child = committed();
	return 0;
}

static int wait_for_parent(void *unused)
{
	char byte;

	(void)unused;
	return read(hold_child[0], &byte, 1) < 0;
}

static char child_stack[64 * 1024] __attribute__((aligned(16)));

static void vfork_free(void)
{
	long before;
	pid_t pid;

	map(32 * MB, RW, ANON);
	before = committed();
	pid = clone(look, child_stack + sizeof(child_stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	if (pid < 0)
		refused("clone");
	waitpid(pid, NULL, 0);
	say("check %s mapped=%ld charged=%ld", check, 32 * KB, seen_by_child - before);
}

static void clone_vm_free(void)
{
	long before, grown;
	pid_t pid;

	map(32 * MB, RW, ANON);
	if (pipe(hold_child))
		refused("pipe");
	before = committed();
	pid = clone(wait_for_parent, child_stack + sizeof(child_stack), CLONE_VM | SIGCHLD, NULL);
	if (pid < 0)
		refused("clone");
	grown = committed() - before;
	if (write(hold_child[1], "x", 1) < 0)
		refused("write");
	waitpid(pid, NULL, 0);
	say("check %s mapped=%ld charged=%ld", check, 32 * KB, grown);
}

/* ---- mappings ---- */

static void charge_of(long bytes, int prot, int flags)
{
	long before = committed();

	map(bytes, prot, flags);
	say("check %s mapped=%ld charged=%ld", check, bytes / KB, committed() - before);
}

static void readonly_free(void)
{
	charge_of(16 * MB, PROT_READ, ANON);
}

static void anon_charged(void)
{
	charge_of(16 * MB, RW, ANON);
}

static void shared_anon(void)
{
	charge_of(16 * MB, RW, MAP_SHARED | MAP_ANONYMOUS);
}

static void file_mapping(int prot, int flags)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	long before = committed();
	void *at = mmap(NULL, 256 * KB, prot, flags, fd, 0);

	if (at == MAP_FAILED)
		refused(check);
	say("check %s mapped=%ld charged=%ld", check, 256L, committed() - before);
}

static void file_readonly(void)
{
	file_mapping(PROT_READ, MAP_PRIVATE);
}

static void file_writable(void)
{
	file_mapping(RW, MAP_PRIVATE);
}

static void file_shared(void)
{
	file_mapping(PROT_READ, MAP_SHARED);
}

static void mprotect_charges(bool touch)
{
	long before = committed(), readonly, writable, again;
	char *at = map(8 * MB, PROT_READ, ANON);

	readonly = committed() - before;
	if (mprotect(at, 8 * MB, RW))
		refused("mprotect");
	writable = committed() - before;
	if (touch)
		*(volatile char *)at = 1;
	if (mprotect(at, 8 * MB, PROT_READ))
		refused("mprotect");
	again = committed() - before;
	say("check %s mapped=%ld readonly=%ld writable=%ld readonly_again=%ld", check, 8 * KB, readonly, writable, again);
}

static void mprotect_touched(void)
{
	mprotect_charges(true);
}

static void mprotect_untouched(void)
{
	mprotect_charges(false);
}

static void sysv_shm(void)
{
	long before = committed(), made, gone;
	int id = shmget(IPC_PRIVATE, 8 * MB, 0600 | IPC_CREAT);

	if (id < 0) {
		say("check %s na=%s", check, strerrorname_np(errno));
		return;
	}
	made = committed() - before;
	shmctl(id, IPC_RMID, NULL);
	gone = committed() - before;
	say("check %s size=%ld charged=%ld after=%ld", check, 8 * KB, made, gone);
}

static void memfd_by_page(void)
{
	static char block[64 * 1024];
	long before = committed(), empty, full, gone;
	int fd = memfd_create("verify", MFD_CLOEXEC);

	if (fd < 0) {
		say("check %s na=%s", check, strerrorname_np(errno));
		return;
	}
	if (ftruncate(fd, 16 * MB))
		refused("ftruncate");
	empty = committed() - before;
	for (int i = 0; i < 64; i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			refused("write");
	full = committed() - before;
	close(fd);
	gone = committed() - before;
	say("check %s size=%ld written=%ld empty=%ld full=%ld after=%ld", check, 16 * KB, 4 * KB, empty, full, gone);
}

static void noreserve(long mode)
{
	set_vm("overcommit_ratio", 80);
	set_vm("overcommit_memory", mode);
	charge_of(16 * MB, RW, ANON | MAP_NORESERVE);
}

static void noreserve_0(void)
{
	noreserve(0);
}

static void noreserve_1(void)
{
	noreserve(1);
}

static void noreserve_2(void)
{
	noreserve(2);
}

static void hugetlb_free(void)
{
	long before, grown;
	void *at;

	set_vm("nr_hugepages", 2);
	before = committed();
	at = mmap(NULL, 2 * MB, RW, ANON | MAP_HUGETLB, -1, 0);
	grown = committed() - before;
	if (at == MAP_FAILED)
		say("check %s na=%s", check, strerrorname_np(errno));
	else
		say("check %s mapped=%ld charged=%ld", check, 2 * KB, grown);
	if (at != MAP_FAILED)
		munmap(at, 2 * MB);
	set_vm("nr_hugepages", 0);
}

static void mremap_charges(void)
{
	char *at = map(4 * MB, RW, ANON);
	long before = committed(), grown;

	at = mremap(at, 4 * MB, 12 * MB, MREMAP_MAYMOVE);
	if (at == MAP_FAILED)
		refused("mremap");
	grown = committed() - before;
	if (mremap(at, 12 * MB, 4 * MB, 0) == MAP_FAILED)
		refused("mremap");
	say("check %s grown=%ld charged=%ld after=%ld", check, 8 * KB, grown, committed() - before);
}

static void brk_charges(void)
{
	long before = committed(), grown;

	if (sbrk(8 * MB) == (void *)-1)
		refused("brk");
	grown = committed() - before;
	if (sbrk(-8 * MB) == (void *)-1)
		refused("brk");
	say("check %s grown=%ld charged=%ld after=%ld", check, 8 * KB, grown, committed() - before);
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
	long before = committed(), stack = number_in("/proc/self/status", "VmStk"), after = deep();

	say("check %s grown=%ld charged=%ld", check, number_in("/proc/self/status", "VmStk") - stack, after - before);
}

static void munmap_returns(void)
{
	long before = committed(), mapped;
	char *at = map(16 * MB, RW, ANON);

	mapped = committed() - before;
	munmap(at + 4 * MB, 8 * MB);
	say("check %s mapped=%ld charged=%ld unmapped=%ld left=%ld", check, 16 * KB, mapped, 8 * KB, committed() - before);
}

static void exit_returns(void)
{
	int ready[2];
	long before = committed(), during, after;
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
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	after = committed() - before;
	say("check %s mapped=%ld during=%ld after=%ld", check, 16 * KB, during, after);
}

static void dontneed_keeps(void)
{
	long before = committed(), after;
	char *at = map(8 * MB, RW, ANON);

	for (long i = 0; i < 8 * MB; i += PAGE)
		((volatile char *)at)[i] = 1;
	if (madvise(at, 8 * MB, MADV_DONTNEED))
		refused("madvise");
	after = committed() - before;
	say("check %s mapped=%ld charged=%ld", check, 8 * KB, after);
}

/* ---- what is no OOM ---- */

static void map_count(void)
{
	long bound = 1000, count = 0, free_kb = meminfo("MemFree");
	int err = 0;

	set_vm("max_map_count", bound);
	for (; count < 2 * bound; count++)
		/* Neighbours that differ are not merged into one. */
		if (mmap(NULL, PAGE, count % 2 ? PROT_READ : PROT_NONE, ANON, -1, 0) == MAP_FAILED) {
			err = errno;
			break;
		}
	say("check %s bound=%ld made=%ld errno=%d free=%ld", check, bound, count, err, free_kb);
}

static void rlimit_as(void)
{
	long vm = number_in("/proc/self/status", "VmSize"), free_kb = meminfo("MemFree");
	struct rlimit bound = { (rlim_t)(vm + 8 * KB) * KB, (rlim_t)(vm + 8 * KB) * KB };
	int within, above;

	if (setrlimit(RLIMIT_AS, &bound))
		refused("setrlimit");
	within = try_map(4 * MB, ANON);
	above = try_map(16 * MB, ANON);
	say("check %s room=%ld asked=%ld within=%d above=%d free=%ld", check, 8 * KB, 16 * KB, within, above, free_kb);
}

static void pids_max(void)
{
	const char *group = "/sys/fs/cgroup/verify-pids";
	long forked = 0;
	int err = 0;
	pid_t pids[16];

	if (mkdir(group, 0755) && errno != EEXIST) {
		say("check %s na=%s", check, strerrorname_np(errno));
		return;
	}
	err = spill("/sys/fs/cgroup/verify-pids/pids.max", "5");
	if (err) {
		say("check %s na=%s", check, strerrorname_np(err));
		return;
	}
	if (spill("/sys/fs/cgroup/verify-pids/cgroup.procs", "0"))
		refused("cgroup.procs");
	for (; forked < 16; forked++) {
		pids[forked] = fork();
		if (pids[forked] == 0)
			for (;;)
				pause();
		if (pids[forked] < 0) {
			err = errno;
			break;
		}
	}
	for (long i = 0; i < forked; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	spill("/sys/fs/cgroup/cgroup.procs", "0");
	rmdir(group);
	say("check %s bound=5 forked=%ld errno=%d free=%ld", check, forked, err, meminfo("MemFree"));
}

/* The min watermarks of all zones, in kB; those of ZONE_MOVABLE, which this guest leaves empty, apart. */
static void min_free(void)
{
	long before = get_vm("min_free_kbytes"), sum = 0, movable = 0, zones = 0;
	char *line, *end;
	bool is_movable = false;

	set_vm("min_free_kbytes", 8192);
	line = slurp("/proc/zoneinfo");
	for (; line && *line; line = end ? end + 1 : NULL) {
		long value;

		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (strncmp(line, "Node ", 5) == 0)
			is_movable = strstr(line, "Movable") != NULL;
		else if (sscanf(line, " min %ld", &value) == 1) {
			*(is_movable ? &movable : &sum) += value * 4;
			zones++;
		}
	}
	set_vm("min_free_kbytes", before);
	say("check %s asked=8192 zones=%ld watermarks=%ld movable=%ld", check, zones, sum, movable);
}

static const struct {
	const char *name;
	void (*measure)(void);
} checks[] = {
	{ "mode0-single", mode0_single }, { "mode0-swap", mode0_single }, { "mode0-sum", mode0_sum },
	{ "mode1-any", mode1_any }, { "mode2-single", mode2_single }, { "mode2-sum", mode2_sum },
	{ "mode2-within", mode2_within }, { "mode-range", mode_range }, { "mode2-switch", switch_above },
	{ "limit-ratio", limit_ratio }, { "limit-kbytes", limit_kbytes }, { "limit-swap", limit_swap },
	{ "limit-kbytes-swap", limit_kbytes }, { "limit-hugetlb", limit_hugetlb },
	{ "limit-kbytes-hugetlb", limit_kbytes_hugetlb }, { "limit-exclusive", exclusive },
	{ "admin-reserve", admin_reserve }, { "user-reserve-bound", user_reserve_bound },
	{ "user-reserve-share", user_reserve_share }, { "percpu-slack", percpu_slack },
	{ "fork-charged", fork_charged }, { "fork-shared", fork_shared }, { "fork-refused", fork_refused },
	{ "vfork-free", vfork_free }, { "clone-vm-free", clone_vm_free }, { "readonly-free", readonly_free },
	{ "anon-charged", anon_charged }, { "shared-anon", shared_anon }, { "file-readonly-free", file_readonly },
	{ "file-writable", file_writable }, { "file-shared-free", file_shared },
	{ "mprotect-touched", mprotect_touched }, { "mprotect-untouched", mprotect_untouched },
	{ "sysv-shm", sysv_shm }, { "memfd-by-page", memfd_by_page }, { "noreserve-mode0", noreserve_0 },
	{ "noreserve-mode1", noreserve_1 }, { "noreserve-mode2", noreserve_2 }, { "hugetlb-free", hugetlb_free },
	{ "mremap", mremap_charges }, { "brk", brk_charges }, { "stack", stack_charges },
	{ "munmap", munmap_returns }, { "exit", exit_returns }, { "dontneed", dontneed_keeps },
	{ "max-map-count", map_count }, { "rlimit-as", rlimit_as }, { "pids-max", pids_max },
	{ "min-free", min_free },
};

static void defaults(long admin, long user, long maps)
{
	set_vm("overcommit_memory", 0);
	set_vm("overcommit_ratio", 50);
	set_vm("admin_reserve_kbytes", admin);
	set_vm("user_reserve_kbytes", user);
	set_vm("max_map_count", maps);
}

static void measure(const char *name)
{
	size_t i = 0;
	int status;
	pid_t pid;

	while (i < sizeof(checks) / sizeof(checks[0]) && strcmp(checks[i].name, name) != 0)
		i++;
	if (i == sizeof(checks) / sizeof(checks[0]))
		usage_error("there is no check '%s'", name);
	check = name;
	pid = fork();
	if (pid == 0) {
		checks[i].measure();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		refused("fork");
	if (status)
		say("check %s broken=%d", name, status);
}

int main(int argc, char **argv)
{
	long admin = get_vm("admin_reserve_kbytes"), user = get_vm("user_reserve_kbytes"), maps = get_vm("max_map_count");

	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return argc < 2 ? EXIT_USAGE : 0;
	}
	for (int i = 1; i < argc; i++) {
		defaults(admin, user, maps);
		measure(argv[i]);
	}
	defaults(admin, user, maps);
	return 0;
}

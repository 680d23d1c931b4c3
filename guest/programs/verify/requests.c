// SPDX-License-Identifier: MIT
/* Requests of the kernel for which the OOM killer kills nobody: they fail, or wait until there is memory. */
#include <linux/bpf.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "holders.h"

#define PIPES 3500

/*
 * Give pipes so many slots (40 bytes each, physically contiguous) until one is refused. Returns the errno. All pipes are
 * made before: a pipe needs single pages too, and in a full machine one of those would cause a kill.
 */
static int fill_with_pipes(long slots)
{
	struct rlimit files = { 16384, 16384 };
	static int ends[PIPES][2];

	if (setrlimit(RLIMIT_NOFILE, &files))
		refused("setrlimit");
	for (int i = 0; i < PIPES; i++)
		if (pipe(ends[i]))
			refused("pipe");
	for (int i = 0; i < PIPES; i++)
		if (fcntl(ends[i][0], F_SETPIPE_SZ, slots * PAGE) < 0)
			return errno;
	return 0;
}

static void oom_costly_order(void)
{
	hold("large", (meminfo("MemAvailable") - 24 * KB) / 4 * 4 * KB, 0, NULL);
	/* 1024 slots are 40 kB, of order 4; 128 are 5 kB, of order 1. */
	tell("errno=%d", fill_with_pipes(condition("costly") ? 1024 : 128));
	expect_no_kill();
}

static void oom_hugepages(void)
{
	bool excess = condition("excess");
	long asked = excess ? 1000 : 2;

	/* The mutant must find its two pages, so it leaves the memory free. */
	hold("large", excess ? half() : 4 * MB, 0, NULL);
	tell("errno=%d asked=%ld", set_vm("nr_hugepages", asked), asked);
	tell("pool=%ld", meminfo("HugePages_Total"));
	expect_no_kill();
}

/* ---- GFP_NOFS and GFP_NOIO ---- */

static struct shared {
	volatile int release;
	volatile long written;	/* kB */
	volatile int ended;	/* errno + 1, or 0 while the writer writes */
} *shared;

static char zram_path[32];

/* Make a compressed device; the module is loaded, because the swap of this guest is one. */
static int new_zram(void)
{
	char path[64], *text = slurp("/sys/class/zram-control/hot_add");
	long number;

	needs("zram", text ? 0 : errno, ENOENT);
	number = strtol(text, NULL, 10);
	snprintf(path, sizeof(path), "/sys/block/zram%ld/disksize", number);
	snprintf(zram_path, sizeof(zram_path), "/dev/zram%ld", number);
	needs("zram", spill(path, "64M"), 0);
	for (int left = 100; left > 0 && access(zram_path, F_OK); left--)
		sleep_for(10000000);
	return (int)number;
}

static void wait_for_release(void)
{
	now_ready();
	wait_for_flag(&shared->release);
	_exit(0);
}

/*
 * Write what cannot be compressed to the device, past the page cache: zram takes the pages for it with GFP_NOIO, in the
 * process that writes (zram_write_page() of drivers/block/zram/zram_drv.c). GFP_NOIO has no __GFP_FS, like GFP_NOFS.
 */
static void write_to_zram(void)
{
	static char noise[64 * KB] __attribute__((aligned(PAGE)));
	uint64_t state = 1;
	int fd = open(zram_path, O_WRONLY | O_DIRECT | O_CLOEXEC);

	/* A linear congruential generator (Knuth's MMIX): no compressor of zram's finds anything in its upper bytes. */
	for (size_t i = 0; i < sizeof(noise); i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		noise[i] = (char)(state >> 56);
	}
	now_ready();
	wait_to_go_on();
	if (!condition("noio"))
		touch(map(256 * MB, RW, ANON | MAP_NORESERVE), 256 * MB);
	while (fd >= 0 && shared->written < 24 * KB) {
		if (pwrite(fd, noise, sizeof(noise), shared->written * KB) != sizeof(noise))
			break;
		shared->written += (long)sizeof(noise) / KB;
	}
	shared->ended = (shared->written < 24 * KB ? errno : 0) + 1;
	_exit(0);
}

/* Return whether a child has ended, and leave its end to those that count kills. */
static bool has_ended(pid_t pid)
{
	siginfo_t end = { 0 };

	return waitid(P_PID, (id_t)pid, &end, WEXITED | WNOHANG | WNOWAIT) || end.si_pid == pid;
}

static void oom_noio(void)
{
	char number[16];
	long before = -1;
	pid_t writer;
	bool stuck;

	shared = (struct shared *)map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS);
	snprintf(number, sizeof(number), "%d", new_zram());
	/*
	 * Without swap: a process that needs a page back from it while there is none would make a kill. Locking does not
	 * help, because the data of a program that lies on DAX cannot be locked (mlock_fixup() of mm/mlock.c).
	 */
	swap_off();
	writer = start_holder((struct holder){ "writer", 64 * KB, 0, NULL, ANY_NODE, write_to_zram });
	start_holder((struct holder){ "large", (meminfo("MemAvailable") - 12 * KB) / 4 * 4 * KB, 0, NULL, ANY_NODE,
				      wait_for_release });
	go_on();
	/* No line is printed before there is memory again: its pipe would need a page. */
	for (int left = 50; left > 0 && shared->written != before; left--) {
		before = shared->written;
		sleep_for(300000000);
	}
	stuck = shared->written == before && !shared->ended;
	raise_flag(&shared->release);
	/* A writer that was killed, as in the mutant, never says that it has ended. */
	for (int left = 1000; left > 0 && !shared->ended && !has_ended(writer); left--)
		sleep_for(10000000);
	tell("stuck=%d before=%ld written=%ld errno=%d", stuck, before, shared->written, shared->ended - 1);
	expect_no_kill();
	spill("/sys/class/zram-control/hot_remove", number);
}

/* ---- __GFP_RETRY_MAYFAIL ---- */

#define LARGE_MAP (96 * MB)	/* the second node has 64 MB */

/*
 * Make a BPF array: its memory is requested page by page, with __GFP_RETRY_MAYFAIL (__bpf_map_area_alloc() of
 * kernel/bpf/syscall.c). Returns the errno. The memory is given back when the process ends.
 */
static int make_bpf_array(long bytes)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = PAGE, .max_entries = (unsigned)(bytes / PAGE),
	};

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)) < 0 ? errno : 0;
}

static void ask_for_large_map(void)
{
	/* Until 5.11 the memory of a map counts as locked. */
	struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
	int err = setrlimit(RLIMIT_MEMLOCK, &any) ? errno : make_bpf_array(4 * MB);

	/* Without CONFIG_BPF_SYSCALL, or with the kernel locked down. Any other error is one of the measurement. */
	if (err == ENOSYS || err == EPERM)
		not_applicable(err);
	if (err)
		refused("bpf");
	now_ready();
	wait_to_go_on();
	if (condition("mayfail"))
		err = make_bpf_array(LARGE_MAP);
	else
		touch(map(LARGE_MAP, RW, ANON | MAP_NORESERVE), LARGE_MAP);
	tell("errno=%d", err);
	give_pid(getpid());
}

static long stalls(void)
{
	return number_in("/proc/vmstat", "allocstall_normal") + number_in("/proc/vmstat", "allocstall_dma32");
}

/* On the second node, which nobody else uses: in a full machine another process might need a page, and cause a kill. */
static void retry_mayfail(void)
{
	int node = condition("mempolicy") ? 1 : ANY_NODE;
	long before;

	needs("node1", access(SECOND_NODE, F_OK) ? errno : 0, ENOENT);
	start_holder((struct holder){ "large", 16 * MB, 0, NULL, 1, NULL });
	start_holder((struct holder){ "asker", 64 * KB, 0, NULL, node, ask_for_large_map });
	before = stalls();
	tell("asked=%ld free=%ld", LARGE_MAP / KB, meminfo("MemFree"));
	go_on();
	for (int left = 500; left > 0 && !given_pid(); left--)
		sleep_for(10000000);
	tell("stalls=%ld", stalls() - before);
	expect_no_kill();
}

const struct check requests_checks[] = {
	{ "oom-costly-order", oom_costly_order, "costly", false },
	{ "oom-hugepages", oom_hugepages, "excess", false },
	{ "oom-noio", oom_noio, "noio adj.writer adj.large", false },
	{ "retry-mayfail", retry_mayfail, "mayfail mempolicy adj.asker adj.large", false },
	{ 0 },
};

// SPDX-License-Identifier: MIT
/* Limits that refuse memory or processes while memory is free: none of them is an OOM. */
#include <sys/mount.h>
#include <sys/resource.h>

#include "holders.h"

static void max_map_count(void)
{
	long bound = 1000, count = 0, free_kb = meminfo("MemFree");
	int err = 0;

	given_vm("max_map_count", bound, 4 * bound);
	for (; count < 2 * bound; count++)
		/* Alternate the protection: the kernel merges equal neighbouring mappings into one. */
		if (mmap(NULL, PAGE, count % 2 ? PROT_READ : PROT_NONE, ANON, -1, 0) == MAP_FAILED) {
			err = errno;
			break;
		}
	/* The control: the next mapping is granted when the limit is higher. */
	require_vm("max_map_count", 4 * bound);
	tell("made=%ld errno=%d free=%ld control_raised=%d", count, err, free_kb, try_map(PAGE, RW, ANON));
}

/* Return a resource limit as the kernel has it, or -1 for none. */
static long rlimit_of(int resource)
{
	struct rlimit bound;

	if (getrlimit((__typeof__(RLIMIT_AS))resource, &bound))
		refused("getrlimit");
	return bound.rlim_cur == RLIM_INFINITY ? -1 : (long)bound.rlim_cur;
}

/* Return how many kB a limit leaves above a size in kB, or -1 without a limit. */
static long room_of(int resource, long size)
{
	long bound = rlimit_of(resource);

	return bound < 0 ? -1 : bound / KB - size;
}

static void rlimit_as(void)
{
	long vm = number_in("/proc/self/status", "VmSize"), free_kb = meminfo("MemFree");
	struct rlimit bound = { (rlim_t)(vm + 8 * KB) * KB, (rlim_t)(vm + 8 * KB) * KB };
	int within, above, before = try_map(16 * MB, RW, ANON);

	if (condition("rlimit") && setrlimit(RLIMIT_AS, &bound))
		refused("setrlimit");
	within = try_map(4 * MB, RW, ANON);
	above = try_map(16 * MB, RW, ANON);
	tell("room=%ld asked=%ld control_before=%d within=%d above=%d free=%ld", room_of(RLIMIT_AS, vm), 16 * KB, before,
	     within, above, free_kb);
}

static void pids_max(void)
{
	const char *group = "/sys/fs/cgroup/verify-pids";
	long forked = 0, free_kb = meminfo("MemFree");
	int err = 0;
	pid_t pids[16];

	make_group(group);
	set_group(group, "pids.max", condition("pids.max") ? "5" : "max");
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
	/* The control: the same process, in the same cgroup without the limit. */
	if (spill("/sys/fs/cgroup/verify-pids/pids.max", "max"))
		refused("pids.max");
	tell("forked=%ld errno=%d free=%ld control_raised=%d", forked, err, free_kb, try_fork());
	for (long i = 0; i < forked; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	spill("/sys/fs/cgroup/cgroup.procs", "0");
	rmdir(group);
}

static void rlimit_data(void)
{
	long data = number_in("/proc/self/status", "VmData"), free_kb = meminfo("MemFree");
	struct rlimit bound = { (rlim_t)(data + 8 * KB) * KB, (rlim_t)(data + 8 * KB) * KB };
	int before = try_map(16 * MB, RW, ANON);

	if (condition("rlimit") && setrlimit(RLIMIT_DATA, &bound))
		refused("setrlimit");
	tell("room=%ld", room_of(RLIMIT_DATA, data));
	tell("asked=%ld control_before=%d within=%d above=%d", 16 * KB, before, try_map(4 * MB, RW, ANON),
	     try_map(16 * MB, RW, ANON));
	tell("readonly=%d shared=%d free=%ld", try_map(16 * MB, PROT_READ, ANON),
	     try_map(16 * MB, RW, MAP_SHARED | MAP_ANONYMOUS), free_kb);
}

static int lock_errno(char *at, long bytes)
{
	int err = mlock(at, (size_t)bytes) ? errno : 0;

	munlock(at, (size_t)bytes);
	return err;
}

static void lock_some(void)
{
	char *at = map(128 * KB, RW, ANON);

	tell("limit=%ld", rlimit_of(RLIMIT_MEMLOCK));
	tell("uid=%d within=%d above=%d mapped=%d", (int)getuid(), lock_errno(at, 32 * KB), lock_errno(at, 128 * KB),
	     try_map(128 * KB, RW, ANON | MAP_LOCKED));
}

static void rlimit_memlock(void)
{
	/*
	 * The mutant sets a limit too, a larger one: the kernel's own is 64 kB until 5.16 (MLOCK_LIMIT,
	 * include/uapi/linux/resource.h), and would refuse as well.
	 */
	const rlim_t limit = condition("rlimit") ? 64 * KB : 8 * MB;
	struct rlimit bound = { limit, limit };
	char *at = map(128 * KB, RW, ANON);
	long free_kb = meminfo("MemFree");

	if (setrlimit(RLIMIT_MEMLOCK, &bound))
		refused("setrlimit");
	tell("control_capable=%d free=%ld", lock_errno(at, 128 * KB), free_kb);
	as_nobody(condition("nobody"), lock_some);
}

static void fork_some(void)
{
	tell("limit=%ld uid=%d errno=%d", rlimit_of(RLIMIT_NPROC), (int)getuid(), try_fork());
}

static void rlimit_nproc(void)
{
	const rlim_t limit = condition("rlimit") ? 1 : 1000;
	struct rlimit bound = { limit, limit };

	if (setrlimit(RLIMIT_NPROC, &bound))
		refused("setrlimit");
	/* Root is exempt from the limit: that is the control, and the rule is measured without privileges. */
	tell("free=%ld control_root=%d", meminfo("MemFree"), try_fork());
	as_nobody(condition("nobody"), fork_some);
}

static void tmpfs_full(void)
{
	static char block[64 * 1024];
	const char *at = "/tmp/verify-full";
	long written = 0, free_kb = meminfo("MemFree");
	int fd, err = 0;

	if (mkdir(at, 0700) && errno != EEXIST)
		refused("mkdir");
	needs("mount", mount("verify", at, "tmpfs", 0, condition("size") ? "size=1M" : "size=8M") ? errno : 0, ENODEV);
	fd = open("/tmp/verify-full/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		refused("open");
	for (int i = 0; i < 32 && !err; i++) {
		if (write(fd, block, sizeof(block)) < 0)
			err = errno;
		else
			written += sizeof(block) / KB;
	}
	close(fd);
	umount2(at, MNT_DETACH);
	rmdir(at);
	tell("written=%ld errno=%d free=%ld", written, err, free_kb);
}

const struct check refusals_checks[] = {
	{ "max-map-count", max_map_count, "max_map_count", false },
	{ "rlimit-as", rlimit_as, "rlimit", true },
	{ "pids-max", pids_max, "pids.max", false },
	{ "rlimit-data", rlimit_data, "rlimit", true },
	{ "rlimit-memlock", rlimit_memlock, "rlimit nobody", false },
	{ "rlimit-nproc", rlimit_nproc, "rlimit nobody", false },
	{ "tmpfs-full", tmpfs_full, "size", false },
	{ 0 },
};

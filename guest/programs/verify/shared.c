// SPDX-License-Identifier: MIT
/* What shared memory, tmpfs files and huge pages are charged, and what is reserved for them. */
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/shm.h>

#include "verify.h"

/* mmap(2) with MAP_HUGETLB, of a kernel without huge pages (ksys_mmap_pgoff() of mm/mmap.c). */
enum { NO_HUGETLB = EINVAL };

static void sysv_shm(void)
{
	long before = committed(), size = 8 * MB, made;
	int id = shmget(IPC_PRIVATE, (size_t)size, 0600 | IPC_CREAT | (condition("reserve") ? 0 : SHM_NORESERVE));
	struct shmid_ds state;

	needs("shmget", id < 0 ? errno : 0, ENOSYS);
	made = committed() - before;
	if (shmctl(id, IPC_STAT, &state))
		refused("shmctl");
	shmctl(id, IPC_RMID, NULL);
	tell("size=%ld charged=%ld after=%ld", (long)state.shm_segsz / KB, made, committed() - before);
}

static void memfd_by_page(void)
{
	static char block[64 * 1024];
	long before = committed(), empty, full;
	struct stat state;
	int fd = memfd_create("verify", MFD_CLOEXEC);

	needs("memfd_create", fd < 0 ? errno : 0, ENOSYS);
	if (ftruncate(fd, condition("size") ? 16 * MB : 8 * MB))
		refused("ftruncate");
	empty = committed() - before;
	for (int i = 0; i < 64 && condition("write"); i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			refused("write");
	full = committed() - before;
	if (fstat(fd, &state))
		refused("fstat");
	close(fd);
	tell("size=%ld written=%ld empty=%ld full=%ld after=%ld", (long)state.st_size / KB,
	     (long)state.st_blocks / 2, empty, full, committed() - before);
}

static void hugetlb_free(void)
{
	int flags = ANON | (condition("hugetlb") ? MAP_HUGETLB : 0);
	long before;
	void *at;

	set_vm("nr_hugepages", condition("pool") ? 2 : 0);
	tell("pool=%ld", meminfo("HugePages_Total"));
	before = committed();
	at = mmap(NULL, 2 * MB, RW, flags, -1, 0);
	needs("mmap", at == MAP_FAILED ? errno : 0, NO_HUGETLB);
	tell("mapped=%ld charged=%ld huge=%ld", 2 * KB, committed() - before, vm_flag(at, "ht"));
	munmap(at, 2 * MB);
	/* The control: as much memory that is not from the pool. */
	before = committed();
	map(2 * MB, RW, ANON);
	tell("control_plain=%ld", committed() - before);
}

static void sysv_noreserve(void)
{
	long before = committed(), made, written;
	int id = shmget(IPC_PRIVATE, condition("size") ? 8 * MB : 4 * MB, 0600 | IPC_CREAT | (condition("noreserve") ? SHM_NORESERVE : 0));
	struct shmid_ds state;
	char *at;

	needs("shmget", id < 0 ? errno : 0, ENOSYS);
	made = committed() - before;
	if (shmctl(id, IPC_STAT, &state))
		refused("shmctl");
	at = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	if (at == (char *)-1)
		refused("shmat");
	touch(at, 1 * MB);
	written = committed() - before;
	shmdt(at);
	tell("size=%ld made=%ld touched=%ld written=%ld after=%ld", (long)state.shm_segsz / KB, made, 1 * KB, written,
	     committed() - before);
}

static void tmpfs_by_page(void)
{
	static char block[64 * 1024];
	const char *at = "/tmp/verify-tmpfs";
	long before, sparse, full;
	int fd;

	if (mkdir(at, 0700) && errno != EEXIST)
		refused("mkdir");
	needs("mount", mount("verify", at, "tmpfs", 0, NULL) ? errno : 0, ENODEV);
	before = committed();
	fd = open("/tmp/verify-tmpfs/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 16 * MB))
		refused("open");
	sparse = committed() - before;
	for (int i = 0; i < 64 && condition("write"); i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			refused("write");
	full = committed() - before;
	if (ftruncate(fd, 0))
		refused("ftruncate");
	tell("sparse=%ld full=%ld after=%ld", sparse, full, committed() - before);
	close(fd);
	umount2(at, MNT_DETACH);
	rmdir(at);
}

static int try_huge(long pages, int flags)
{
	return try_map(pages * 2 * MB, RW, ANON | MAP_HUGETLB | flags);
}

static void hugetlb_reserve(void)
{
	void *at;

	set_vm("nr_hugepages", condition("pool") ? 4 : 8);
	tell("pool=%ld", meminfo("HugePages_Total"));
	at = mmap(NULL, 3 * 2 * MB, RW, ANON | MAP_HUGETLB | (condition("reserve") ? 0 : MAP_NORESERVE), -1, 0);
	needs("mmap", at == MAP_FAILED ? errno : 0, NO_HUGETLB);
	tell("free=%ld reserved=%ld errno=%d control_noreserve=%d", meminfo("HugePages_Free"),
	     meminfo("HugePages_Rsvd"), try_huge(2, 0), try_huge(2, MAP_NORESERVE));
	munmap(at, 3 * 2 * MB);
}

/* Return the signal that ends a child which writes to a page of its parent's, or 0. */
static int signal_of_write(volatile char *at)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		*at = 2;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		refused("fork");
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void hugetlb_fork(void)
{
	int signal;
	char *at;

	set_vm("nr_hugepages", condition("full") ? 2 : 4);
	at = mmap(NULL, 2 * 2 * MB, RW, ANON | MAP_HUGETLB, -1, 0);
	needs("mmap", at == MAP_FAILED ? errno : 0, NO_HUGETLB);
	touch(at, 2 * 2 * MB);
	tell("pool=%ld free=%ld", meminfo("HugePages_Total"), meminfo("HugePages_Free"));
	signal = signal_of_write(at);
	*(volatile char *)at = 3;
	tell("signal=%d parent_reads=%d", signal, *(volatile char *)at);
	/* The control: the same with a page left in the pool. */
	set_vm("nr_hugepages", 4);
	tell("control_free=%ld control_signal=%d", meminfo("HugePages_Free"), signal_of_write(at));
	munmap(at, 2 * 2 * MB);
}

const struct check shared_checks[] = {
	{ "sysv-shm", sysv_shm, "reserve", true },
	{ "memfd-by-page", memfd_by_page, "size write", true },
	{ "hugetlb-free", hugetlb_free, "hugetlb pool", false },
	{ "sysv-noreserve", sysv_noreserve, "size noreserve", true },
	{ "tmpfs-by-page", tmpfs_by_page, "write", false },
	{ "hugetlb-reserve", hugetlb_reserve, "pool reserve", false },
	{ "hugetlb-fork", hugetlb_fork, "full", false },
	{ 0 },
};

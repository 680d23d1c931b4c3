// SPDX-License-Identifier: MIT
/*
 * Fill a guest's memory in one of the ways that an OOM report must tell apart: cause WAY [MB].
 *
 * With MB, the ways that grow end with status 0 when they have taken so much. Built static, and run in guests by
 * `make cause-logs` and by the tests of remedies.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB (1UL << 20)
#define MPOL_PREFERRED 1 /* include/uapi/linux/mempolicy.h */
#define MPOL_BIND 2
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static unsigned long most = -1UL; /* bytes after which a way ends */

/* Count what was taken, and end when that is enough. */
static void took(unsigned long bytes)
{
	static unsigned long taken;

	taken += bytes;
	if (taken >= most)
		exit(0);
}

static void fail(const char *what)
{
	perror(what);
	exit(3);
}

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fail(path);
	close(fd);
}

static void *map(unsigned long size, int protection, int flags)
{
	void *block = mmap(NULL, size, protection, flags, -1, 0);

	if (block == MAP_FAILED)
		fail("mmap");
	return block;
}

static void touch(volatile char *block, unsigned long size)
{
	for (unsigned long at = 0; at < size; at += 4096)
		block[at] = 1;
}

static void grow(int flags)
{
	for (;;) {
		touch(map(4 * MB, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags), 4 * MB);
		took(4 * MB);
	}
}

static void processes(void)
{
	grow(MAP_PRIVATE);
}

static void locked(void)
{
	grow(MAP_PRIVATE | MAP_LOCKED);
}

/* Shared anonymous memory is a file of the kernel's own tmpfs. */
static void shared(void)
{
	grow(MAP_SHARED);
}

/* Ten processes of one name. */
static void many(void)
{
	prctl(PR_SET_NAME, "worker");
	for (int at = 0; at < 9; at++)
		if (fork() == 0)
			break;
	processes();
}

/* One child after the other is killed. */
static void storm(void)
{
	prctl(PR_SET_NAME, "keeper");
	set("/proc/self/oom_score_adj", "-500");
	for (int at = 0; at < 3; at++) {
		pid_t child = fork();

		if (child == 0) {
			prctl(PR_SET_NAME, "worker");
			set("/proc/self/oom_score_adj", "0");
			processes();
		}
		waitpid(child, NULL, 0);
	}
}

/* The kernel may kill nobody: init and kernel threads are never chosen. */
static void exempt(void)
{
	set("/proc/self/oom_score_adj", "-1000");
	processes();
}

/* Write to a file until that fails. */
static void fill(int fd)
{
	static char block[1 << 16];

	memset(block, 'x', sizeof(block));
	while (write(fd, block, sizeof(block)) > 0)
		;
}

static void fill_mount(const char *type, const char *options)
{
	int fd;

	mkdir("/ram", 0700);
	if (mount("ram", "/ram", type, 0, options) < 0)
		fail("mount");
	fd = open("/ram/file", O_CREAT | O_WRONLY, 0600);
	if (fd < 0)
		fail("/ram/file");
	fill(fd);
	processes();
}

static void tmpfs(void)
{
	fill_mount("tmpfs", "size=75%");
}

static void ramfs(void)
{
	fill_mount("ramfs", "");
}

static void memfd(void)
{
	int fd = memfd_create("ram", 0);

	if (fd < 0)
		fail("memfd_create");
	fill(fd);
	processes();
}

/* Segments that no process has attached are in no row of the task table. */
static void segments(void)
{
	for (;;) {
		int segment = shmget(IPC_PRIVATE, 4 * MB, IPC_CREAT | 0600);
		void *block = segment < 0 ? (void *)-1 : shmat(segment, NULL, 0);

		if (block == (void *)-1)
			fail("shmget");
		touch(block, 4 * MB);
		shmdt(block);
	}
}

/* Read one page in each 2 MB: the zero page takes no memory, the page tables do. */
static void page_tables(void)
{
	for (;;) {
		volatile char *block = map(1024 * MB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);

		madvise((void *)block, 1024 * MB, MADV_NOHUGEPAGE);
		for (unsigned long at = 0; at < 1024 * MB; at += 2 * MB)
			(void)block[at];
	}
}

/* Map the same 2 MB of a file in memory again and again. Each mapping takes a page table, unless the page is huge. */
static void map_again(unsigned int flags)
{
	int fd = memfd_create("shared", flags);

	if (fd < 0 || ftruncate(fd, 2 * MB) < 0)
		fail("memfd_create");
	set("/proc/sys/vm/max_map_count", "1000000");
	for (;;) {
		char *place = map(4 * MB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
		char *start = (char *)(((unsigned long)place + 2 * MB - 1) & ~(2 * MB - 1));
		volatile char *block = mmap(start, 2 * MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);

		if (block == MAP_FAILED)
			fail("mmap");
		touch(block, 4 * 4096);
		took(4096);
	}
}

static void mapped_again(void)
{
	map_again(0);
}

static void mapped_again_as_huge_page(void)
{
	map_again(MFD_HUGETLB);
}

/* Messages are kmalloc()ed, and a killed sender leaves them behind. */
static void messages(void)
{
	struct { long type; char text[3800]; } message = { .type = 1 };

	set("/proc/sys/kernel/msgmnb", "1073741824");
	set("/proc/sys/kernel/msgmax", "4000");
	for (;;) {
		int queue = msgget(IPC_PRIVATE, 0600);

		if (queue < 0)
			fail("msgget");
		while (msgsnd(queue, &message, sizeof(message.text), IPC_NOWAIT) == 0)
			took(4096);
	}
}

static void open_more_files(void)
{
	struct rlimit most = { 1000000, 1000000 };

	set("/proc/sys/fs/file-max", "100000000");
	if (setrlimit(RLIMIT_NOFILE, &most) < 0)
		fail("setrlimit");
}

/* Open files and what belongs to them are slabs. A process may have a million of them: several processes. */
static void files(void)
{
	open_more_files();
	for (int at = 0; at < 4; at++)
		if (fork() == 0)
			break;
	for (;;)
		if (eventfd(0, 0) < 0)
			pause();
}

/* Pages in pipes are in no counter of the report. */
static void pipes(void)
{
	open_more_files();
	set("/proc/sys/fs/pipe-user-pages-soft", "0");
	for (;;) {
		int ends[2];

		if (pipe2(ends, O_NONBLOCK) < 0)
			fail("pipe2");
		fill(ends[1]);
	}
}

/* Large sets of semaphores are vmalloc()ed: in no counter of the report. */
static void semaphores(void)
{
	set("/proc/sys/kernel/sem", "32000 1024000000 500 32000");
	for (;;)
		if (semget(IPC_PRIVATE, 32000, 0600) < 0)
			fail("semget");
}

/* A set of 8 million semaphores is larger than the guest: vmalloc() refuses it. */
static void large_set(void)
{
	set("/proc/sys/kernel/sem", "8000000 1024000000 500 32000");
	if (semget(IPC_PRIVATE, 8000000, 0600) >= 0 || errno != ENOMEM)
		fail("semget");
}

static int wait_for_ever(void *unused)
{
	(void)unused;
	while (syscall(SYS_pause) < 0)
		;
	return 0;
}

/*
 * Threads that only wait. Each has 16 kB of stack in the kernel, and of the program's memory a sixteenth of a page. The
 * stacks of all would need 480 MB, more than the guest has.
 */
static void threads(void)
{
	enum { STACK = 256, MOST = 30000 };
	char *stacks = map(MOST * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

	set("/proc/sys/kernel/pid_max", "100000");
	set("/proc/sys/kernel/threads-max", "100000");
	for (int at = 1; at <= MOST; at++)
		if (clone(wait_for_ever, stacks + at * STACK, flags, NULL) < 0)
			fail("clone");
}

/* The ring buffer of the kernel's tracing. It is allocated on behalf of who asks for it. */
static void trace_buffer(void)
{
	mkdir("/tracing", 0700);
	if (mount("tracing", "/tracing", "tracefs", 0, NULL) < 0)
		fail("tracefs");
	set("/tracing/buffer_size_kb", "130000");
	processes();
}

/* Datagrams that nobody reads. */
static void sockets(void)
{
	static char datagram[60000];
	int size = 256 << 20;

	open_more_files();
	set("/proc/sys/net/core/wmem_max", "268435456");
	for (;;) {
		int ends[2];

		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) < 0)
			fail("socketpair");
		setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		while (send(ends[0], datagram, sizeof(datagram), 0) > 0)
			;
	}
}

static long available_kb(void)
{
	FILE *info = fopen("/proc/meminfo", "r");
	long available;

	if (!info || fscanf(info, "MemTotal: %*d kB MemFree: %*d kB MemAvailable: %ld", &available) != 1)
		fail("/proc/meminfo");
	fclose(info);
	return available;
}

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_NONBLOCK) < 0 || fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < 0)
		fail("pipe2");
}

/*
 * Leave only single free pages. Two pipes are filled in turn, a page each, and one of them is drained at the end. The
 * pages of pipes cannot be moved, so compaction does not help. The table of the 512 buffers of a large pipe is then
 * kmalloc()ed in one piece of eight pages.
 */
static void fragments(void)
{
	enum { MOST = 1000 };
	static int kept[MOST][2], drained[MOST][2], large[2];
	static char page[4096];
	int made = 0;

	open_more_files();
	set("/proc/sys/fs/pipe-user-pages-soft", "0");
	set("/proc/sys/fs/pipe-max-size", "1073741824");
	for (; made < MOST && available_kb() > 8192; made++) {
		make_pipe(kept[made]);
		make_pipe(drained[made]);
		for (int at = 0; at < 256; at++)
			if (write(kept[made][1], page, sizeof(page)) < 0 || write(drained[made][1], page, sizeof(page)) < 0)
				break;
	}
	for (int at = 0; at < made; at++)
		while (read(drained[at][0], page, sizeof(page)) > 0)
			;
	for (;;) {
		if (pipe2(large, O_NONBLOCK) < 0 || fcntl(large[1], F_SETPIPE_SZ, 512 * 4096) < 0)
			fail("F_SETPIPE_SZ");
		took(8 * 4096);
	}
}

static void huge_pages(void)
{
	set("/proc/sys/vm/nr_hugepages", "70");
	processes();
}

static void huge_pages_in_use(void)
{
	set("/proc/sys/vm/nr_hugepages", "70");
	touch(map(100 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB), 100 * MB);
	processes();
}

static void grow_under(int policy)
{
	unsigned long mask = 1UL << 1;

	if (syscall(SYS_set_mempolicy, policy, &mask, 8 * sizeof(mask)) < 0)
		fail("set_mempolicy");
	processes();
}

/* All memory of one node, by a memory policy. */
static void one_node(void)
{
	grow_under(MPOL_BIND);
}

static void preferred_node(void)
{
	grow_under(MPOL_PREFERRED);
}

/* The limit is that of the program's cgroup, and the program is in one below it. */
static void below(void)
{
	mkdir("/sys/fs/cgroup/exec/below", 0755);
	set("/sys/fs/cgroup/exec/below/cgroup.procs", "0");
	set("/sys/fs/cgroup/exec/cgroup.subtree_control", "+memory");
	processes();
}

/* The limit is lowered to less than what is held. */
static void lowered(void)
{
	unsigned long size = 100 * MB;

	if (fork() == 0) {
		touch(map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS), size);
		pause();
	}
	sleep(2);
	set("/sys/fs/cgroup/exec/memory.max", "30M");
	kill(0, SIGKILL);
}

static void cpuset(void)
{
	mkdir("/sys/fs/cgroup/one", 0755);
	set("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset");
	set("/sys/fs/cgroup/one/cpuset.mems", "1");
	set("/sys/fs/cgroup/one/cgroup.procs", "0");
	processes();
}

static void sysrq_f(void)
{
	set("/proc/sysrq-trigger", "f");
	sleep(2);
}

static void sysrq_m(void)
{
	set("/proc/sysrq-trigger", "m");
}

static const struct {
	const char *name;
	void (*make)(void);
} ways[] = {
	{ "processes", processes }, { "locked", locked }, { "shared", shared }, { "many", many }, { "storm", storm },
	{ "exempt", exempt }, { "tmpfs", tmpfs }, { "ramfs", ramfs }, { "memfd", memfd }, { "segments", segments },
	{ "page-tables", page_tables }, { "messages", messages }, { "files", files }, { "pipes", pipes },
	{ "semaphores", semaphores }, { "large-set", large_set }, { "threads", threads },
	{ "trace-buffer", trace_buffer }, { "sockets", sockets },
	{ "fragments", fragments }, { "huge-pages", huge_pages }, { "huge-pages-in-use", huge_pages_in_use },
	{ "one-node", one_node }, { "preferred-node", preferred_node },
	{ "mapped-again", mapped_again }, { "mapped-again-as-huge-page", mapped_again_as_huge_page },
	{ "cpuset", cpuset }, { "below", below }, { "lowered", lowered },
	{ "sysrq-f", sysrq_f }, { "sysrq-m", sysrq_m },
};

int main(int count, char **words)
{
	const char *way = count > 1 ? words[1] : "";

	if (count > 2)
		most = strtoul(words[2], NULL, 10) * MB;
	setbuf(stdout, NULL);
	for (size_t at = 0; at < COUNT(ways); at++)
		if (strcmp(way, ways[at].name) == 0) {
			ways[at].make();
			return 0;
		}
	fprintf(stderr, "usage: cause WAY [MB]\n");
	return 2;
}

// SPDX-License-Identifier: MIT
/* Processes that are ending: whether one is killed once more, who takes its memory, and what it may allocate. */
#include <dirent.h>
#include <linux/futex.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "holders.h"

static char stack[16 * 1024] __attribute__((aligned(16)));

__attribute__((noreturn))
static int second_thread(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

/* With a second thread, the exit of the first sets SIGNAL_GROUP_EXIT in every kernel. */
static void exit_when_told(void)
{
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

	if (clone(second_thread, stack + sizeof(stack), flags, NULL) < 0)
		_exit(EXIT_REFUSED);
	now_ready();
	wait_to_go_on();
	_exit(0);
}

/* Start a process of 24 MB that stops during its exit, while it still has its memory. */
static pid_t start_exiting(bool stopped)
{
	pid_t pid = start_holder((struct holder){ "exiting", 24 * MB, 0, NULL, ANY_NODE, exit_when_told });
	int status;

	if (!stopped)
		return pid;
	/* EIO: Linux before 3.4 has no PTRACE_SEIZE. */
	needs("ptrace", ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEEXIT) ? errno : 0, EIO);
	go_on();
	if (waitpid(pid, &status, __WALL) != pid || status >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8))
		refused("ptrace");
	return pid;
}

static long rss_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return number_in(path, "VmRSS");
}

static void oom_exiting(void)
{
	start_exiting(condition("exiting"));
	hold("small", 8 * MB, 0, NULL);
	press_sysrq_f();
}

/* Since 5.18 the OOM reaper waits 2 s before it frees the memory of a victim that does not exit (OOM_REAPER_DELAY). */
static void oom_reaper(void)
{
	pid_t pid = start_exiting(true);

	hold("small", 8 * MB, 0, NULL);
	tell("before=%ld", rss_of(pid));
	if (condition("reaped")) {
		needs("sysrq-trigger", spill("/proc/sysrq-trigger", "f"), ENOENT);
		sleep_for(3000000000);
	}
	tell("reaped=%ld", rss_of(pid));
	press_sysrq_f();
}

/* ---- what an exiting process allocates ---- */

#define ROOM (1 * MB)	/* what is left above the min watermark */

enum { ENTRIES = 768 };	/* half of what exit_robust_list() of kernel/futex.c walks: ROBUST_LIST_LIMIT is 2048 */

/* A robust futex: the kernel marks it (FUTEX_OWNER_DIED) when the thread whose id it holds exits. */
struct entry {
	struct robust_list link;
	volatile uint32_t futex;
};

static struct entry *marks;	/* shared with the check, and resident */
static struct entry *pages[ENTRIES];
static struct robust_list_head robust = { .futex_offset = offsetof(struct entry, futex) };

/*
 * Make a list of robust futexes: one on a page of a private file mapping, then one in shared memory, then the next page.
 * To mark the first the kernel copies its page, in the process that exits; to mark the second it allocates nothing, so
 * that mark remains and says that the page before it was copied. A page that cannot be copied ends the walk.
 */
static void make_robust_list(void)
{
	int fd = memfd_create("verify", MFD_CLOEXEC);
	char *at;

	if (fd < 0 || ftruncate(fd, ENTRIES * PAGE))
		refused("memfd_create");
	at = mmap(NULL, ENTRIES * PAGE, RW, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		refused("mmap");
	for (int i = 0; i < ENTRIES; i++) {
		struct entry entry = { { &marks[i].link }, (uint32_t)getpid() };

		pages[i] = (struct entry *)(at + i * PAGE);
		marks[i] = (struct entry){ { i + 1 < ENTRIES ? (struct robust_list *)(at + (i + 1) * PAGE) : &robust.list },
					   (uint32_t)getpid() };
		if (pwrite(fd, &entry, sizeof(entry), i * PAGE) != sizeof(entry))
			refused("pwrite");
	}
	/* Reading maps the pages of the file, so that no page table is missing later. */
	for (int i = 0; i < ENTRIES; i++)
		if (pages[i]->futex != (uint32_t)getpid())
			refused("mmap");
	robust.list.next = &pages[0]->link;
}

static void mark_by_hand(void)
{
	for (int i = 0; i < ENTRIES; i++) {
		pages[i]->futex |= FUTEX_OWNER_DIED;
		marks[i].futex |= FUTEX_OWNER_DIED;
	}
}

static void exit_with_robust_list(void)
{
	make_robust_list();
	now_ready();
	wait_to_go_on();
	if (!condition("exiting"))
		mark_by_hand();
	else if (syscall(SYS_set_robust_list, &robust, sizeof(robust)))
		refused("set_robust_list");
	_exit(0);
}

/* Return the sum of the min watermarks of a node's zones, in kB. */
static long min_of_node(int wanted)
{
	char *line = slurp("/proc/zoneinfo"), *end;
	int node = -1;
	long sum = 0, each;

	for (; line && *line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (sscanf(line, "Node %d, zone", &node) != 1 && node == wanted && sscanf(line, " min %ld", &each) == 1)
			sum += each * PAGE / KB;
	}
	return sum;
}

static long room_of_second_node(void)
{
	return number_in(SECOND_NODE "/meminfo", "Node 1 MemFree") - min_of_node(1);
}

/* Return the pid of the kernel's thread that takes the memory of victims. */
static pid_t find_reaper(void)
{
	char path[64], *comm;
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	pid_t pid;

	while (proc && (entry = readdir(proc))) {
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		comm = pid > 0 ? slurp(path) : NULL;
		if (comm && strcmp(comm, "oom_reaper\n") == 0) {
			closedir(proc);
			return pid;
		}
	}
	broken("there-is-no-oom_reaper");
}

/*
 * Until 5.18 the reaper is woken at once, and a page fault in memory that it takes fails. With SCHED_IDLE it leaves the
 * CPU to the exiting process. That one cannot be a real-time task: those may go below the min watermark at any time
 * (gfp_to_alloc_flags() of mm/page_alloc.c).
 */
static void set_policy(pid_t pid, int policy)
{
	struct sched_param none = { 0 };

	if (sched_setscheduler(pid, policy, &none))
		refused("sched_setscheduler");
}

static void exiting_reserves(void)
{
	int node = condition("mempolicy") ? 1 : ANY_NODE;
	long copied = 0, large;
	pid_t reaper;

	needs("node1", access(SECOND_NODE, F_OK) ? errno : 0, ENOENT);
	reaper = find_reaper();
	given_vm("min_free_kbytes", 24576, 4096);
	marks = (struct entry *)map(ENTRIES * sizeof(struct entry), RW, MAP_SHARED | MAP_ANONYMOUS);
	start_holder((struct holder){ "exiting", 64 * KB, 0, NULL, node, exit_with_robust_list });
	large = condition("full") ? room_of_second_node() * KB - ROOM : 4 * MB;
	start_holder((struct holder){ "large", large / PAGE * PAGE, 0, NULL, 1, NULL });
	tell("room=%ld", room_of_second_node());
	set_policy(reaper, SCHED_IDLE);
	go_on();
	expect_no_kill();
	set_policy(reaper, SCHED_OTHER);
	for (int i = 0; i < ENTRIES; i++)
		copied += (marks[i].futex & FUTEX_OWNER_DIED) != 0;
	tell("asked=%ld copied=%ld", ENTRIES * PAGE / KB, copied * PAGE / KB);
}

const struct check exiting_checks[] = {
	{ "oom-exiting", oom_exiting, "exiting", false },
	{ "oom-reaper", oom_reaper, "reaped", false },
	{ "exiting-reserves", exiting_reserves, "exiting full mempolicy min_free_kbytes", false },
	{ 0 },
};

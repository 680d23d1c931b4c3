// SPDX-License-Identifier: MIT
/* Processes that hold memory until the kernel, or the end of the check, kills them. */
#include <dirent.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#include "holders.h"

enum { MOST = 8 };

#define HUGE (2 * MB)
#define PLENTY (16 * MB)

enum { BIND = 2 };	/* MPOL_BIND of include/uapi/linux/mempolicy.h */

/* Shared by all holders: the eater stops when a process has been killed. */
static struct board {
	volatile int stop;
	volatile int ready;
	volatile long eaten;
	volatile pid_t pid;
	volatile int go;
	pid_t check;
} *board;

static struct member {
	const char *name;
	pid_t pid;
	bool killed;
} members[MOST];
static int count;

void tell_holder(const char *name, pid_t pid)
{
	char path[64], *text;
	long rss;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	rss = number_in(path, "VmRSS");
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	text = slurp(path);
	tell("rss.%s=%ld adj.%s=%ld", name, rss, name, text ? strtol(text, NULL, 10) : -1);
}

void follow(const char *name, pid_t pid)
{
	if (count == MOST)
		usage_error("more than %d processes", MOST);
	members[count++] = (struct member){ name, pid, false };
}

void give_pid(pid_t pid)
{
	board->pid = pid;
}

pid_t given_pid(void)
{
	return board->pid;
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/*
 * The check and its holders wait for each other in the kernel. Under TCG each look at a flag in between would cost as
 * much as some ten page faults: it switches the address space twice.
 */
static void open_board(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, NULL))
		refused("sigprocmask");
	board = (struct board *)map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS);
	board->check = getpid();
}

/* In the check: wait until a process has ended or a holder is ready, at most until `deadline`. False: it has passed. */
static bool wait_for_holders(int64_t deadline)
{
	int64_t left = deadline - now();
	struct timespec most = { left / 1000000000, left % 1000000000 };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (left > 0)
		sigtimedwait(&child, NULL, &most);
	return left > 0;
}

void now_ready(void)
{
	__atomic_add_fetch(&board->ready, 1, __ATOMIC_SEQ_CST);
	kill(board->check, SIGCHLD);
}

void raise_flag(volatile int *flag)
{
	*flag = 1;
	syscall(SYS_futex, flag, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void wait_for_flag(volatile int *flag)
{
	while (!*flag)
		syscall(SYS_futex, flag, FUTEX_WAIT, 0, NULL, NULL, 0);
}

void go_on(void)
{
	raise_flag(&board->go);
}

void wait_to_go_on(void)
{
	wait_for_flag(&board->go);
}

static void bind_to_node(int node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_set_mempolicy, BIND, &mask, sizeof(mask) * 8))
		_exit(EXIT_REFUSED);
}

/* Report the node to which this process's memory policy binds it, or -1 for none. */
static void tell_node(const char *name)
{
	unsigned long masks[16] = { 0 };
	int mode;

	/* The kernel refuses a mask that is smaller than its own, of CONFIG_NODES_SHIFT (at most 10, on x86). */
	if (syscall(SYS_get_mempolicy, &mode, masks, sizeof(masks) * 8, NULL, 0))
		_exit(EXIT_REFUSED);
	tell("node.%s=%d", name, mode == BIND && masks[0] ? __builtin_ctzl(masks[0]) : ANY_NODE);
}

/*
 * Let the kernel take the next 2 MB as a huge page, if it finds one: in a guest that costs a third to a seventh of the
 * instructions that 512 page faults do. Only while plenty is free: the kernel fetches two at once, and the second waits
 * in a list of the CPU (__rmqueue_pcplist() of mm/page_alloc.c), where it counts neither as free nor as held.
 */
static void prefer_huge_page(char *at)
{
	struct sysinfo machine;

	/* EINVAL: a kernel without huge pages. */
	if (!sysinfo(&machine) && machine.freeram * machine.mem_unit > PLENTY && madvise(at, HUGE, MADV_HUGEPAGE) &&
	    errno != EINVAL)
		refused("madvise");
}

/* Map memory whose start a huge page may have. */
static char *map_aligned(long bytes)
{
	uintptr_t at = (uintptr_t)map(bytes + HUGE, RW, ANON | MAP_NORESERVE);

	return (char *)((at + HUGE - 1) / HUGE * HUGE);
}

static void take(long bytes, bool page_by_page)
{
	char *at = map_aligned(bytes);

	for (long i = 0; i < bytes; i += HUGE) {
		if (!page_by_page && bytes - i >= HUGE)
			prefer_huge_page(at + i);
		touch(at + i, bytes - i < HUGE ? bytes - i : HUGE);
	}
}

static void take_more(bool page_by_page)
{
	const long most = 1024 * MB;
	char *at = map_aligned(most);

	now_ready();
	for (long i = 0; i < most && !board->stop; i += PAGE) {
		if (!page_by_page && i % HUGE == 0)
			prefer_huge_page(at + i);
		((volatile char *)at)[i] = 1;
		board->eaten = (i + PAGE) / KB;
		/* Pause, so that the check notices a kill before this process's next allocation causes another. */
		if (i % (256 * KB) == 0)
			sleep_for(1000000);
	}
}

/* A check may declare the condition "adj.NAME": its mutant gives the holder of that name another oom_score_adj. */
static int adj_of(const struct holder *holder)
{
	char name[32];

	snprintf(name, sizeof(name), "adj.%s", holder->name);
	if (!declared(name) || condition(name))
		return holder->adj;
	return holder->adj ? 0 : 500;
}

__attribute__((noreturn))
static void live(const struct holder *holder)
{
	char path[128], adj[16];

	take_role(holder->name);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(adj, sizeof(adj), "%d", adj_of(holder));
	if (spill("/proc/self/oom_score_adj", adj))
		_exit(EXIT_REFUSED);
	if (holder->group) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", holder->group);
		if (spill(path, "0"))
			_exit(EXIT_REFUSED);
	}
	if (holder->node >= 0)
		bind_to_node(holder->node);
	if (declared("mempolicy"))
		tell_node(holder->name);
	if (holder->bytes == EAT) {
		take_more(holder->page_by_page);
	} else {
		take(holder->bytes, holder->page_by_page);
		if (holder->also)
			holder->also();
		now_ready();
	}
	for (;;)
		pause();
}

pid_t start_holder(struct holder holder)
{
	int ready;
	pid_t pid;

	if (!board)
		open_board();
	/* A holder's orphans are reparented to the check, which sees their end. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		refused("prctl");
	ready = board->ready;
	pid = fork();
	if (pid == 0)
		live(&holder);
	if (pid < 0)
		refused("fork");
	follow(holder.name, pid);
	while (board->ready == ready) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			broken("%s-ended-before-it-held-its-memory", holder.name);
		wait_for_holders(INT64_MAX);
	}
	tell_holder(holder.name, pid);
	return pid;
}

pid_t hold(const char *name, long bytes, int adj, const char *group)
{
	return start_holder((struct holder){ name, bytes, adj, group, ANY_NODE, NULL });
}

pid_t eat(int adj, const char *group)
{
	return start_holder((struct holder){ "eater", EAT, adj, group, ANY_NODE, NULL });
}

/* Record which processes were killed since the last call; one that exited by itself does not count. */
static bool look_for_killed(char *killed, size_t size)
{
	bool any = false;

	for (int i = 0; i < count; i++) {
		int status;

		if (members[i].killed || waitpid(members[i].pid, &status, WNOHANG) != members[i].pid)
			continue;
		members[i].killed = true;
		if (!WIFSIGNALED(status))
			continue;
		any = true;
		snprintf(killed + strlen(killed), size - strlen(killed), "%s%s", killed[0] ? "," : "", members[i].name);
	}
	return any;
}

/* Watch for kills, at most for `most` ns, and report them as `fact`. */
static void watch(int64_t most, const char *fact)
{
	int64_t deadline = now() + most;
	char killed[128] = "";

	do {
		if (look_for_killed(killed, sizeof(killed)) && !board->stop) {
			board->stop = 1;
			deadline = now() + 200000000;
		}
	} while (wait_for_holders(deadline));
	tell("%s=%s eaten=%ld", fact, killed[0] ? killed : "nobody", board->eaten);
}

void wait_for_kill(void)
{
	watch(10000000000, "killed");
}

void expect_no_kill(void)
{
	watch(500000000, "killed");
}

void press_sysrq_f_as(const char *fact)
{
	needs("sysrq-trigger", spill("/proc/sysrq-trigger", "f"), ENOENT);
	/* SysRq f kills from a work queue (moom_callback() of drivers/tty/sysrq.c), so the kill comes later. */
	watch(500000000, fact);
}

void press_sysrq_f(void)
{
	press_sysrq_f_as("killed");
}

long half(void)
{
	return meminfo("MemAvailable") / 2 / 4 * 4 * KB;
}

/* Remove a cgroup that a check left behind which ended early: its limits would be in force in this check. */
static void remove_left_behind(const char *path)
{
	char child[300];
	struct dirent *entry;
	DIR *directory = opendir(path);

	while (directory && (entry = readdir(directory)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
			snprintf(child, sizeof(child), "%.40s/%s", path, entry->d_name);
			rmdir(child);
		}
	if (directory)
		closedir(directory);
	for (int left = 100; left > 0 && rmdir(path) && errno == EBUSY; left--)
		sleep_for(10000000);
}

void make_group(const char *path)
{
	needs("cgroup2", access("/sys/fs/cgroup/cgroup.controllers", F_OK) ? errno : 0, ENOENT);
	remove_left_behind(path);
	if (mkdir(path, 0755))
		broken("mkdir-of-a-cgroup-%s", strerrorname_np(errno));
}

void set_group(const char *path, const char *key, const char *value)
{
	char file[160], *text;

	snprintf(file, sizeof(file), "%s/%s", path, key);
	needs(key, spill(file, value), ENOENT);
	text = slurp(file);
	tell("%s=%.*s", key, (int)strcspn(text ?: "", "\n"), text ?: "");
}

long group_event(const char *name)
{
	return number_in(GROUP "/memory.events", name);
}

void remove_group(const char *path)
{
	for (int i = 0; i < count; i++)
		if (!members[i].killed) {
			kill(members[i].pid, SIGKILL);
			waitpid(members[i].pid, NULL, 0);
			members[i].killed = true;
		}
	for (int left = 100; left > 0 && rmdir(path) && errno == EBUSY; left--)
		sleep_for(10000000);
}

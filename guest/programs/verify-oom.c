// SPDX-License-Identifier: MIT
/* verify-oom: brings memory to its end in one way a check, and says who was killed. For `rig verify overcommit`. */
#include <poll.h>
#include <sys/syscall.h>

#include "verify.h"

static const char help[] =
	"usage: verify-oom CHECK…\n"
	"Runs each check and says who was killed: 'check NAME killed=A,B …', sizes in kB.\n"
	"As root, in a guest: it exhausts the memory, or panics the kernel.\n"
	"\n"
	"Processes: 'large', 'small' and others hold memory; 'eater' takes memory until one is killed.\n";

enum { MOST = 8 };

#define GROUP "/sys/fs/cgroup/verify"

/* Shared by all: the eater stops when somebody has been killed. */
struct board {
	volatile int stop;
	volatile int ready;
	volatile long eaten;
};

static struct board *board;
static const char *check;

static struct member {
	const char *name;
	pid_t pid;
	bool killed;
} members[MOST];
static int count;

struct wants {
	const char *name;
	long bytes;		/* to hold; -1: eat until told to stop */
	int adj;
	const char *group;	/* a cgroup's folder, or NULL */
	int node;		/* bind to this node, -1: anywhere */
};

static void bind_to_node(int node)
{
	unsigned long mask = 1UL << node;

	/* MPOL_BIND */
	if (syscall(SYS_set_mempolicy, 2, &mask, sizeof(mask) * 8))
		refused("set_mempolicy");
}

static char *take(long bytes)
{
	char *at = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		refused("mmap");
	return at;
}

__attribute__((noreturn))
static void live(const struct wants *wants)
{
	const long most = 1024 * MB;
	char path[128], adj[16];
	volatile char *at;

	take_role(wants->name);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(adj, sizeof(adj), "%d", wants->adj);
	if (spill("/proc/self/oom_score_adj", adj))
		_exit(EXIT_REFUSED);
	if (wants->group) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", wants->group);
		if (spill(path, "0"))
			_exit(EXIT_REFUSED);
	}
	if (wants->node >= 0)
		bind_to_node(wants->node);
	if (wants->bytes >= 0) {
		at = take(wants->bytes + PAGE);
		for (long i = 0; i < wants->bytes; i += PAGE)
			at[i] = 1;
		__atomic_add_fetch(&board->ready, 1, __ATOMIC_SEQ_CST);
	} else {
		at = take(most);
		__atomic_add_fetch(&board->ready, 1, __ATOMIC_SEQ_CST);
		for (long i = 0; i < most && !board->stop; i += PAGE) {
			at[i] = 1;
			board->eaten = (i + PAGE) / KB;
			/* Lets the one who looks see a kill before this one's hunger makes another. */
			if (i % (256 * KB) == 0)
				sleep_for(1000000);
		}
	}
	for (;;)
		pause();
}

/* Returns when it holds what it wants; an eater is on its way then. */
static void start(struct wants wants)
{
	int ready = board->ready;
	pid_t pid;

	if (count == MOST)
		usage_error("more than %d processes", MOST);
	pid = fork();
	if (pid == 0)
		live(&wants);
	if (pid < 0)
		refused("fork");
	members[count++] = (struct member){ wants.name, pid, false };
	while (board->ready == ready) {
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			say("check %s broken=1", check);
			members[count - 1].killed = true;
			return;
		}
		sleep_for(1000000);
	}
}

static void hold(const char *name, long bytes, int adj, const char *group)
{
	start((struct wants){ name, bytes, adj, group, -1 });
}

static void eat(int adj, const char *group)
{
	start((struct wants){ "eater", -1, adj, group, -1 });
}

/* Waits for the first to be killed (at most 60 s), and half a second for those that go with it. */
static void wait_for_kill(void)
{
	bool any = false;

	for (int left = 60 * 2000; left > 0; left--) {
		for (int i = 0; i < count; i++) {
			int status;

			if (members[i].killed || waitpid(members[i].pid, &status, WNOHANG) != members[i].pid)
				continue;
			members[i].killed = true;
			if (!any) {
				board->stop = 1;
				left = 1000;
				any = true;
			}
		}
		sleep_for(500000);
	}
}

static void end_all(void)
{
	for (int i = 0; i < count; i++)
		if (!members[i].killed) {
			kill(members[i].pid, SIGKILL);
			waitpid(members[i].pid, NULL, 0);
		}
	count = 0;
}

/* "check NAME killed=a,b eaten=N …" */
static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
	char killed[128] = "", also[256];
	va_list args;

	for (int i = 0; i < count; i++)
		if (members[i].killed)
			snprintf(killed + strlen(killed), sizeof(killed) - strlen(killed), "%s%s", killed[0] ? "," : "",
				 members[i].name);
	va_start(args, format);
	vsnprintf(also, sizeof(also), format, args);
	va_end(args);
	say("check %s killed=%s eaten=%ld%s%s", check, killed[0] ? killed : "nobody", board->eaten, also[0] ? " " : "", also);
}

static void wait_and_tell(void)
{
	wait_for_kill();
	tell("%s", "");
}

/* ---- global ---- */

/* Half of what is there: whoever holds it is the largest, and the rest is soon eaten. */
static long half(void)
{
	return meminfo("MemAvailable") / 2 / 4 * 4 * KB;
}

static void oom_largest(void)
{
	hold("large", half(), 0, NULL);
	hold("small", 8 * MB, 0, NULL);
	eat(-1000, NULL);
	wait_and_tell();
}

static void oom_adj_min(void)
{
	hold("large", half(), -1000, NULL);
	hold("small", 8 * MB, 0, NULL);
	eat(-1000, NULL);
	wait_and_tell();
}

static void oom_adj_max(void)
{
	hold("large", half(), 0, NULL);
	hold("small", 4 * MB, 1000, NULL);
	eat(-1000, NULL);
	wait_and_tell();
}

static void oom_allocating(void)
{
	long large = meminfo("MemAvailable") * 6 / 10 / 4 * 4 * KB;

	set_vm("oom_kill_allocating_task", 1);
	hold("large", large, 0, NULL);
	eat(0, NULL);
	wait_for_kill();
	tell("large=%ld", large / KB);
	set_vm("oom_kill_allocating_task", 0);
}

static void oom_dump_tasks(long value)
{
	set_vm("oom_dump_tasks", value);
	hold("large", half(), 0, NULL);
	eat(-1000, NULL);
	wait_for_kill();
	tell("dump=%ld", value);
	set_vm("oom_dump_tasks", 1);
}

static void oom_dump_tasks_0(void)
{
	oom_dump_tasks(0);
}

static void oom_dump_tasks_1(void)
{
	oom_dump_tasks(1);
}

static void press_f(void)
{
	int err = spill("/proc/sysrq-trigger", "f");

	if (err) {
		say("check %s na=%s", check, strerrorname_np(err));
		return;
	}
	wait_for_kill();
	tell("free=%ld", meminfo("MemFree"));
}

static void sysrq_f(void)
{
	hold("large", 24 * MB, 0, NULL);
	hold("small", 8 * MB, 0, NULL);
	press_f();
}

static void panic_1_sysrq(void)
{
	set_vm("panic_on_oom", 1);
	sysrq_f();
	set_vm("panic_on_oom", 0);
}

/* ---- a cgroup with a limit ---- */

static bool group_made(const char *max)
{
	int err = mkdir(GROUP, 0755) && errno != EEXIST ? errno : 0;

	if (!err)
		err = spill(GROUP "/memory.max", max);
	if (err)
		say("check %s na=%s", check, strerrorname_np(err));
	return !err;
}

static long event(const char *name)
{
	return number_in(GROUP "/memory.events", name);
}

static void group_gone(void)
{
	end_all();
	for (int left = 100; left > 0 && rmdir(GROUP) && errno == EBUSY; left--)
		sleep_for(10000000);
}

static void memcg_limit(void)
{
	if (!group_made("20M"))
		return;
	hold("outside", 40 * MB, 0, NULL);
	eat(0, GROUP);
	wait_for_kill();
	tell("limit=%d outside=%d free=%ld", 20480, 40960, meminfo("MemFree"));
	group_gone();
}

static void memcg_largest(void)
{
	if (!group_made("24M"))
		return;
	hold("large", 10 * MB, 0, GROUP);
	hold("small", 3 * MB, 0, GROUP);
	eat(-1000, GROUP);
	wait_and_tell();
	group_gone();
}

static void memcg_events(void)
{
	long oom, kills, before_max;

	if (!group_made("20M"))
		return;
	oom = event("oom");
	kills = event("oom_kill");
	before_max = event("max");
	eat(0, GROUP);
	wait_for_kill();
	tell("oom=%ld oom_kill=%ld max=%ld", event("oom") - oom, event("oom_kill") - kills, event("max") - before_max);
	group_gone();
}

static void memcg_group(bool protect)
{
	if (!group_made("24M"))
		return;
	if (spill(GROUP "/memory.oom.group", "1")) {
		say("check %s na=%s", check, strerrorname_np(errno));
		return;
	}
	hold("outside", 40 * MB, 0, NULL);
	hold("first", 6 * MB, 0, GROUP);
	hold("second", 4 * MB, protect ? -1000 : 0, GROUP);
	eat(0, GROUP);
	wait_for_kill();
	tell("oom_kill=%ld oom_group_kill=%ld", event("oom_kill"), event("oom_group_kill"));
	group_gone();
}

static void memcg_group_all(void)
{
	memcg_group(false);
}

static void memcg_group_protected(void)
{
	memcg_group(true);
}

static void memcg_allocating(void)
{
	set_vm("oom_kill_allocating_task", 1);
	if (group_made("24M")) {
		hold("large", 16 * MB, 0, GROUP);
		eat(0, GROUP);
		wait_and_tell();
		group_gone();
	}
	set_vm("oom_kill_allocating_task", 0);
}

static void panic_1_memcg(void)
{
	set_vm("panic_on_oom", 1);
	memcg_limit();
	set_vm("panic_on_oom", 0);
}

/* ---- these end the kernel ---- */

static void panic_1_global(void)
{
	set_vm("panic_on_oom", 1);
	hold("large", half(), 0, NULL);
	eat(0, NULL);
	wait_and_tell();
}

static void panic_2_memcg(void)
{
	set_vm("panic_on_oom", 2);
	memcg_limit();
}

static void nobody_killable(void)
{
	hold("large", half(), -1000, NULL);
	eat(-1000, NULL);
	wait_and_tell();
}

/* ---- two nodes ---- */

static bool second_node(void)
{
	if (access("/sys/devices/system/node/node1", F_OK) == 0)
		return true;
	say("check %s na=ENODEV", check);
	return false;
}

static bool group_on_node(const char *group, const char *mems)
{
	char path[128];
	int err = mkdir(group, 0755) && errno != EEXIST ? errno : 0;

	snprintf(path, sizeof(path), "%s/cpuset.mems", group);
	if (!err)
		err = spill(path, mems);
	if (err)
		say("check %s na=%s", check, strerrorname_np(err));
	return !err;
}

static void cpuset_oom(void)
{
	const char *other = "/sys/fs/cgroup/verify-other";

	if (!second_node() || !group_on_node(GROUP, "1") || !group_on_node(other, "0"))
		return;
	hold("outside", 40 * MB, 0, other);
	hold("inside", 16 * MB, 0, GROUP);
	eat(-1000, GROUP);
	wait_for_kill();
	tell("free=%ld", meminfo("MemFree"));
	end_all();
	group_gone();
	rmdir(other);
}

static void panic_1_cpuset(void)
{
	set_vm("panic_on_oom", 1);
	cpuset_oom();
	set_vm("panic_on_oom", 0);
}

static void mempolicy_oom(void)
{
	if (!second_node())
		return;
	start((struct wants){ "bound", 16 * MB, 0, NULL, 1 });
	start((struct wants){ "eater", -1, -1000, NULL, 1 });
	wait_for_kill();
	tell("free=%ld", meminfo("MemFree"));
}

static void panic_1_mempolicy(void)
{
	set_vm("panic_on_oom", 1);
	mempolicy_oom();
	set_vm("panic_on_oom", 0);
}

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	{ "oom-largest", oom_largest }, { "oom-adj-min", oom_adj_min }, { "oom-adj-max", oom_adj_max },
	{ "oom-allocating", oom_allocating }, { "oom-dump-tasks-0", oom_dump_tasks_0 },
	{ "oom-dump-tasks-1", oom_dump_tasks_1 }, { "sysrq-f", sysrq_f }, { "panic-1-sysrq", panic_1_sysrq },
	{ "memcg-limit", memcg_limit }, { "memcg-largest", memcg_largest }, { "memcg-events", memcg_events },
	{ "memcg-group", memcg_group_all }, { "memcg-group-protected", memcg_group_protected },
	{ "memcg-allocating", memcg_allocating }, { "panic-1-memcg", panic_1_memcg },
	{ "panic-1-global", panic_1_global }, { "panic-2-memcg", panic_2_memcg },
	{ "nobody-killable", nobody_killable }, { "cpuset-oom", cpuset_oom }, { "panic-1-cpuset", panic_1_cpuset },
	{ "mempolicy-oom", mempolicy_oom }, { "panic-1-mempolicy", panic_1_mempolicy },
};

static void run(const char *name)
{
	size_t i = 0;

	while (i < sizeof(checks) / sizeof(checks[0]) && strcmp(checks[i].name, name) != 0)
		i++;
	if (i == sizeof(checks) / sizeof(checks[0]))
		usage_error("there is no check '%s'", name);
	check = name;
	*board = (struct board){ 0 };
	mark("begin", name);
	checks[i].run();
	end_all();
	mark("end", name);
}

int main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return argc < 2 ? EXIT_USAGE : 0;
	}
	/* Not a candidate itself. */
	if (spill("/proc/self/oom_score_adj", "-1000"))
		refused("oom_score_adj");
	if (mlockall(MCL_CURRENT))
		refused("mlockall");
	board = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		refused("mmap");
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	return 0;
}

// SPDX-License-Identifier: MIT
/* What fork, vfork, clone and exec charge, and when they are refused. */
#include <sched.h>
#include <spawn.h>

#include "verify.h"

/* Map memory as the condition "mapped", and report by how much VmSize grew. */
static void map_as_condition(long bytes)
{
	long before = vm_size();

	if (condition("mapped"))
		map(bytes, RW, ANON);
	tell("mapped=%ld", vm_size() - before);
}

static int hold[2];
static char stack[64 * 1024] __attribute__((aligned(16)));
static volatile long seen_by_child;

static int wait_for_parent(void *unused)
{
	char byte;

	(void)unused;
	return read(hold[0], &byte, 1) < 0;
}

static int look(void *unused)
{
	long seen = committed();

	(void)unused;
	/* A parent that does not wait for this child reads seen_by_child before it is written. */
	sleep_for(10000000);
	seen_by_child = seen;
	return 0;
}

/* Return by how much Committed_AS grows while a child of this process exists; *err is the errno of the clone. */
static long grown_by_child(int flags, int *err)
{
	long before = committed(), grown;
	pid_t pid;

	if (pipe(hold))
		refused("pipe");
	pid = clone(wait_for_parent, stack + sizeof(stack), flags | SIGCHLD, NULL);
	*err = pid < 0 ? errno : 0;
	grown = committed() - before;
	if (write(hold[1], "x", 1) < 0)
		refused("write");
	if (pid > 0)
		waitpid(pid, NULL, 0);
	close(hold[0]);
	close(hold[1]);
	return grown;
}

static void tell_fork(void)
{
	long expected = accounted(), grown;
	int err;

	grown = grown_by_child(0, &err);
	tell("accounted=%ld charged=%ld errno=%d", expected, grown, err);
}

static void fork_charged(void)
{
	char *at = map(32 * MB, condition("writable") ? RW : PROT_READ, ANON);
	long grown;
	int err;

	if (!condition("untouched"))
		touch(at, 32 * MB);
	tell("mapped=%ld resident=%ld", 32 * KB, resident(at, 32 * MB));
	tell_fork();
	/* The mutant of "writable" may not write. */
	if (condition("touched") && vm_flag(at, "wr") == 1)
		touch(at, 32 * MB);
	grown = grown_by_child(0, &err);
	tell("touched=%ld touched_charged=%ld touched_errno=%d", resident(at, 32 * MB), grown, err);
}

static void fork_shared(void)
{
	char *at = map(32 * MB, RW, (condition("shared") ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS);

	tell("mapped=%ld shared=%ld", 32 * KB, vm_flag(at, "sh"));
	tell_fork();
}

static void fork_refused(void)
{
	long limit, before, size;
	int strict_err, guess_err;

	require_vm("overcommit_ratio", 80);
	require_vm("admin_reserve_kbytes", 0);
	require_vm("user_reserve_kbytes", 0);
	given_vm("overcommit_memory", 2, 1);
	limit = meminfo("CommitLimit");
	before = committed();
	size = condition("large") ? (limit - before) * 6 / 10 / 4 * 4 : 1024;
	map(size * KB, RW, ANON);
	grown_by_child(0, &strict_err);
	require_vm("overcommit_memory", 0);
	grown_by_child(0, &guess_err);
	tell("limit=%ld committed=%ld held=%ld errno=%d control_mode0=%d", limit, before, size, strict_err, guess_err);
}

static void vfork_free(void)
{
	int flags = (condition("vm") ? CLONE_VM : 0) | (condition("vfork") ? CLONE_VFORK : 0) | SIGCHLD;
	bool waited;
	long before;
	pid_t pid;

	map_as_condition(32 * MB);
	before = committed();
	pid = clone(look, stack + sizeof(stack), flags, NULL);
	/* clone(2) with CLONE_VFORK returns when the child has ended. */
	waited = seen_by_child > 0;
	if (pid < 0)
		refused("clone");
	waitpid(pid, NULL, 0);
	/* Only a child that shares this process's memory can write its number here. */
	tell("waited=%d shares=%d charged=%ld", waited, seen_by_child > 0, seen_by_child - before);
}

static void clone_vm_free(void)
{
	long grown;
	int err;

	map_as_condition(32 * MB);
	grown = grown_by_child(condition("vm") ? CLONE_VM : 0, &err);
	tell("charged=%ld errno=%d", grown, err);
}

static void fork_dontfork(void)
{
	char *at = map(32 * MB, RW, ANON);

	if (condition("dontfork") && madvise(at, 32 * MB, MADV_DONTFORK))
		refused("madvise");
	tell("mapped=%ld dontfork=%ld", 32 * KB, vm_flag(at, "dc"));
	tell_fork();
}

/* Return the byte that a child reads at an address. */
static int read_by_child(const volatile char *at)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(*at);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		refused("fork");
	return WEXITSTATUS(status);
}

static void fork_wipeonfork(void)
{
	char *at = map(32 * MB, RW, ANON);

	*(volatile char *)at = 42;
	tell("control_reads=%d", read_by_child(at));
	/* EINVAL: Linux before 4.14 does not know the advice. */
	if (condition("wipeonfork"))
		needs("madvise", madvise(at, 32 * MB, MADV_WIPEONFORK) ? errno : 0, EINVAL);
	tell("mapped=%ld wipeonfork=%ld", 32 * KB, vm_flag(at, "wf"));
	tell_fork();
	tell("child_reads=%d parent_reads=%d", read_by_child(at), *(volatile char *)at);
}

static void fork_mode0_each(void)
{
	long total = meminfo("MemTotal"), each = total * 3 / 4 / 4 * 4, other = condition("second") ? each : 4;
	long before = vm_size(), grown;
	char *first, *guard, *second;
	int err;

	require_vm("overcommit_memory", 1);
	first = map(each * KB, RW, ANON);
	/* PROT_NONE between the two, because the kernel merges equal neighbouring mappings into one. */
	guard = map(PAGE, PROT_NONE, ANON);
	second = map(other * KB, RW, ANON);
	grown = vm_size() - before;
	given_vm("overcommit_memory", 0, 1);
	err = try_fork();
	tell("total=%ld each=%ld grown=%ld errno_each=%d", total, each, grown, err);
	munmap(first, (size_t)(each * KB));
	munmap(guard, PAGE);
	munmap(second, (size_t)(other * KB));
	require_vm("overcommit_memory", 1);
	map(2 * each * KB, RW, ANON);
	given_vm("overcommit_memory", 0, 1);
	tell("one=%ld errno_one=%d", 2 * each, try_fork());
}

/* Return the errno of posix_spawn(3), which is vfork and exec. */
static int spawn_errno(void)
{
	char *const words[] = { "verify", "--list", NULL };
	posix_spawn_file_actions_t actions;
	int err, status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	err = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, words, environ);
	if (!err && (waitpid(pid, &status, 0) < 0 || status))
		return ECHILD;
	return err;
}

static void spawn_mode2(void)
{
	long limit, before, size;

	require_vm("overcommit_ratio", 80);
	require_vm("admin_reserve_kbytes", 0);
	require_vm("user_reserve_kbytes", 0);
	given_vm("overcommit_memory", 2, 0);
	limit = meminfo("CommitLimit");
	before = committed();
	size = condition("large") ? (limit - before) * 6 / 10 / 4 * 4 : 1024;
	map(size * KB, RW, ANON);
	tell("limit=%ld committed=%ld held=%ld control_fork=%d errno=%d", limit, before, size, try_fork(),
	     spawn_errno());
}

/* A close-on-exec pipe: end of file means that the child has executed, and that its old memory is freed. */
static void exec_returns(void)
{
	char *const words[] = { "verify", "--wait", NULL };
	int full[2], done[2], input[2];
	long before = committed(), during;
	char byte;
	pid_t pid;

	if (pipe2(full, O_CLOEXEC) || pipe2(done, O_CLOEXEC) || pipe2(input, O_CLOEXEC))
		refused("pipe");
	pid = fork();
	if (pid == 0) {
		map(32 * MB, RW, ANON);
		close(full[0]);
		close(input[1]);
		dup2(input[0], STDIN_FILENO);
		if (write(full[1], "x", 1) < 0 || read(done[0], &byte, 1) < 0)
			_exit(EXIT_REFUSED);
		if (condition("exec"))
			execv("/proc/self/exe", words);
		close(full[1]);
		pause();
	}
	close(full[1]);
	if (pid < 0 || read(full[0], &byte, 1) != 1)
		refused("fork");
	during = committed() - before;
	if (write(done[1], "x", 1) < 0 || read(full[0], &byte, 1) < 0)
		refused("pipe");
	tell("mapped=%ld during=%ld after=%ld", 32 * KB, during, committed() - before);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

const struct check fork_checks[] = {
	{ "fork-charged", fork_charged, "writable untouched touched", true },
	{ "fork-shared", fork_shared, "shared", true },
	{ "fork-refused", fork_refused, "overcommit_memory large", false },
	{ "vfork-free", vfork_free, "vm vfork mapped", true },
	{ "clone-vm-free", clone_vm_free, "vm mapped", true },
	{ "fork-dontfork", fork_dontfork, "dontfork", true },
	{ "fork-wipeonfork", fork_wipeonfork, "wipeonfork", true },
	{ "fork-mode0-each", fork_mode0_each, "overcommit_memory second", false },
	{ "spawn-mode2", spawn_mode2, "overcommit_memory large", false },
	{ "exec-returns", exec_returns, "exec", true },
	{ 0 },
};

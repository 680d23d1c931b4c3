// SPDX-License-Identifier: MIT
/*
 * Start a process without copying the agent: clone with CLONE_VM | CLONE_VFORK, then execve. No page table is copied
 * and nothing is charged to Committed_AS, so a spawn works where vm.overcommit_memory=2 would refuse a fork.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

/* The child's part, between clone and execve. It shares the agent's memory: it may write only errno and the stage. */
struct launch {
	const char *argv[MAX_ARGS + 1], *envp[MAX_ARGS + 1];
	const char *path, *cwd, *cgroup, *adj, *tty, *sched, *root, *input;
	long uid, gid;
	bool privileged;
	int in, out, err;	/* in: -1 for a file or /dev/null */
	struct { int resource; struct rlimit limit; } rlimits[8];
	int rlimit_count;
	int errnum;		/* errno of the stage that launch_stage names */
};

const char *launch_stage;
static struct launch launch;
static char launch_stack[16 * 1024] __attribute__((aligned(16)));
static char launch_text[8 * 1024];	/* arguments with {payload} replaced */

static const struct { const char *name; int resource; } resources[] = {
	{ "AS", RLIMIT_AS }, { "CORE", RLIMIT_CORE }, { "CPU", RLIMIT_CPU }, { "DATA", RLIMIT_DATA },
	{ "FSIZE", RLIMIT_FSIZE }, { "LOCKS", RLIMIT_LOCKS }, { "MEMLOCK", RLIMIT_MEMLOCK },
	{ "NICE", RLIMIT_NICE }, { "NOFILE", RLIMIT_NOFILE }, { "NPROC", RLIMIT_NPROC },
	{ "RSS", RLIMIT_RSS }, { "RTPRIO", RLIMIT_RTPRIO }, { "SIGPENDING", RLIMIT_SIGPENDING },
	{ "STACK", RLIMIT_STACK },
};

/* struct sched_attr of sched_setattr(2): glibc does not declare it, and linux/sched/types.h conflicts with sched.h. */
struct scheduler {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

enum { POLICY_DEADLINE = 6 };	/* SCHED_DEADLINE of linux/sched.h */

/* other, batch, idle, fifo:PRIORITY, rr:PRIORITY, deadline:RUNTIME:DEADLINE:PERIOD (microseconds) */
static int set_scheduler(const char *text)
{
	struct scheduler attr = { .size = sizeof(attr) };
	size_t name = strcspn(text, ":");
	unsigned long value[3] = { 0 };
	char *at = (char *)text + name;

	for (int i = 0; i < 3 && *at == ':'; i++)
		value[i] = strtoul(at + 1, &at, 10);
	if (strncmp(text, "other", name) == 0)
		attr.policy = SCHED_OTHER;
	else if (strncmp(text, "batch", name) == 0)
		attr.policy = SCHED_BATCH;
	else if (strncmp(text, "idle", name) == 0)
		attr.policy = SCHED_IDLE;
	else if (strncmp(text, "fifo", name) == 0)
		attr.policy = SCHED_FIFO;
	else if (strncmp(text, "rr", name) == 0)
		attr.policy = SCHED_RR;
	else if (strncmp(text, "deadline", name) == 0)
		attr.policy = POLICY_DEADLINE;
	else
		return errno = EINVAL, -1;
	if (attr.policy == POLICY_DEADLINE) {
		attr.runtime = value[0] * 1000;
		attr.deadline = value[1] * 1000;
		attr.period = value[2] * 1000;
	} else {
		attr.priority = (uint32_t)value[0];
	}
	return (int)syscall(SYS_sched_setattr, 0, &attr, 0);
}

/*
 * Drop the capabilities with which a program that runs as root could forge evidence: access to I/O ports (pvpanic's),
 * to the agent's memory and descriptors, and loading of modules. An unprivileged rig-agent --run cannot drop them, and
 * does not have them either.
 */
static int drop_capabilities(void)
{
	static const int dropped[] = { CAP_SYS_RAWIO, CAP_SYS_PTRACE, CAP_SYS_MODULE };

	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		if (prctl(PR_CAPBSET_DROP, dropped[i], 0, 0, 0) && errno != EPERM)
			return -1;
	return 0;
}

static const char no_interpreter[] = "execve (the interpreter or loader that it names is missing)";

/* Returns -1. ENOENT for a file that exists means that its interpreter is missing: launch_stage says so. */
static int execute_file(const char *path)
{
	const char *file = path;
	int directory = directory_of(&file), err;

	syscall(SYS_execveat, directory, file, launch.argv, launch.envp, 0);
	err = errno;
	if (err == ENOENT && access(path, F_OK) == 0)
		launch_stage = no_interpreter;
	errno = err;
	return -1;
}

/* Search PATH for a name without a slash, as execvp(3) does. When no entry works, EACCES is reported before ENOENT. */
static int execute(void)
{
	const char *directories = "/usr/sbin:/usr/bin:/sbin:/bin";
	bool refused = false;
	char path[PATH_BYTES];

	if (strchr(launch.path, '/'))
		return execute_file(launch.path);
	for (int i = 0; launch.envp[i]; i++)
		if (strncmp(launch.envp[i], "PATH=", 5) == 0) {
			directories = launch.envp[i] + 5;
			break;
		}
	for (const char *at = directories; *at;) {
		size_t span = strcspn(at, ":");

		if (span + strlen(launch.path) + 2 < sizeof(path)) {
			memcpy(path, at, span);
			path[span] = '/';
			strcpy(path + span + 1, launch.path);
			execute_file(path);
			if (launch_stage == no_interpreter || (errno != ENOENT && errno != ENOTDIR && errno != EACCES))
				return -1;
			refused = refused || errno == EACCES;
		}
		at += span + (at[span] == ':');
	}
	errno = refused ? EACCES : ENOENT;
	return -1;
}

static int launched(void *unused)
{
	sigset_t none;

	(void)unused;
#define TRY(name, call) do { launch_stage = (name); if ((call) < 0) goto failed; } while (0)
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	TRY("setsid", setsid());
	if (launch.tty) {
		int fd = open(launch.tty, O_RDWR);

		TRY("open of the terminal", fd);
		TRY("dup2", dup2(fd, 0));
		TRY("dup2", dup2(fd, 1));
		TRY("dup2", dup2(fd, 2));
		ioctl(fd, TIOCSCTTY, 0);
		if (fd > 2)
			close(fd);
	} else {
		TRY("dup2", dup2(launch.out, 1));
		TRY("dup2", dup2(launch.err, 2));
	}
	if (launch.in >= 0 || launch.input || !launch.tty) {
		int input = launch.in >= 0 ? launch.in :
			    open(launch.input ? launch.input : "/dev/null", O_RDONLY | O_CLOEXEC);

		TRY("open of standard input", input);
		TRY("dup2", dup2(input, 0));
	}
	if (launch.adj)
		TRY("oom_score_adj", spill("/proc/self/oom_score_adj", launch.adj));
	if (launch.cgroup)
		TRY("cgroup.procs", join_cgroup(launch.cgroup));
	TRY("sched_setattr", set_scheduler(launch.sched ? launch.sched : "other"));
	if (!launch.privileged)
		TRY("prctl(PR_CAPBSET_DROP)", drop_capabilities());
	if (launch.root) {
		TRY("chroot", chroot(launch.root));
		TRY("chdir", chdir("/"));
	}
	if (launch.cwd)
		TRY("chdir", chdir(launch.cwd));
	for (int i = 0; i < launch.rlimit_count; i++)
		TRY("setrlimit", setrlimit(launch.rlimits[i].resource, &launch.rlimits[i].limit));
	/* Raw system calls: glibc's wrappers signal all threads of the process, and this child shares its memory. */
	if (launch.gid >= 0) {
		TRY("setgroups", syscall(SYS_setgroups, 0, NULL));
		TRY("setgid", syscall(SYS_setresgid, launch.gid, launch.gid, launch.gid));
	}
	if (launch.uid >= 0)
		TRY("setuid", syscall(SYS_setresuid, launch.uid, launch.uid, launch.uid));
	TRY("execve", execute());
failed:
	launch.errnum = errno;
	_exit(127);
#undef TRY
}

/* Returns the pid, or -1 with errno and launch_stage ("fork" when no process was created). */
static pid_t start(void)
{
	pid_t pid;

	launch.errnum = 0;
	launch_stage = "fork";
	pid = clone(launched, launch_stack + sizeof(launch_stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	if (pid < 0)
		return -1;
	if (launch.errnum) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		errno = launch.errnum;
		return -1;
	}
	return pid;
}

static pid_t start_helping(void)
{
	pid_t pid = start();

	if (pid > 0)
		ends_own(pid, NULL);
	return pid;
}

/* Start a process that is not part of the plan: Dropbear, or a shell for the user. */
pid_t start_helper(const char *const argv[], int out_fd, const char *tty)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=linux" };
	int i;

	launch = (struct launch){ .uid = -1, .gid = -1, .adj = "0", .in = -1, .out = out_fd, .err = out_fd, .tty = tty,
				    .privileged = true };
	for (i = 0; argv[i] && i < MAX_ARGS; i++)
		launch.argv[i] = argv[i];
	memcpy(launch.envp, env, sizeof(env));
	launch.path = argv[0];
	return start_helping();
}

/*
 * Start this very program again, under another argv[0]. /proc/self/exe is the agent's file also where it was removed
 * with the initramfs. It inherits the agent's oom_score_adj: a kill of the heartbeat would change the experiment.
 */
pid_t launch_heartbeat(const char *const argv[], int in, const char *cgroup)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), err;
	pid_t pid;

	launch = (struct launch){ .uid = -1, .gid = -1, .in = in, .out = null, .err = null,
				    .path = "/proc/self/exe", .cgroup = cgroup };
	for (int i = 0; argv[i] && i < MAX_ARGS; i++)
		launch.argv[i] = argv[i];
	pid = start_helping();
	err = errno;
	close(null);
	errno = err;
	return pid;
}

/* Replace {payload} by the payload's directory. Returns NULL when launch_text is full. */
static const char *expand(const char *value, size_t *used)
{
	char *start = launch_text + *used, *to = start, *end = launch_text + sizeof(launch_text) - 1;
	size_t length = strlen(payload_dir);

	if (!strstr(value, "{payload}"))
		return value;
	while (*value) {
		if (strncmp(value, "{payload}", 9) == 0) {
			if ((size_t)(end - to) < length)
				return NULL;
			to = mempcpy(to, payload_dir, length);
			value += 9;
		} else {
			if (to >= end)
				return NULL;
			*to++ = *value++;
		}
	}
	*to++ = '\0';
	*used = (size_t)(to - launch_text);
	return start;
}

static bool add_rlimit(const char *value)
{
	size_t name = strcspn(value, ":");
	uint64_t number = RLIM_INFINITY;

	if (!value[name] || launch.rlimit_count == 8)
		return false;
	if (strcmp(value + name + 1, "unlimited") != 0 && !parse_size(value + name + 1, &number))
		return false;
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
		if (strlen(resources[i].name) == name && strncmp(resources[i].name, value, name) == 0) {
			launch.rlimits[launch.rlimit_count].resource = resources[i].resource;
			launch.rlimits[launch.rlimit_count++].limit = (struct rlimit){ number, number };
			return true;
		}
	return false;
}

/* Fill `launch` from the step's words. Returns what is wrong, or NULL. */
const char *launch_prepare(const struct step *step)
{
	int args = 0, envs = 0;
	bool has_path = false;
	size_t used = 0;
	const char *value;

	launch = (struct launch){ .uid = -1, .gid = -1, .adj = "0" };
	value = word(step, "root");
	if (value && !(launch.root = root_path(value)))
		return "there is no root of that name: a step `root` makes it";
	for (int i = 0; i < step->count; i++) {
		const char *key = step->words[i].key;
		/* A program with its own root cannot see the payload: {payload} in its arguments is left as it is. */
		bool as_it_is = launch.root && (strcmp(key, "arg") == 0 || strcmp(key, "env") == 0);

		value = as_it_is ? step->words[i].value : expand(step->words[i].value, &used);
		if (!value)
			return "the arguments are too long";
		if (strcmp(key, "arg") == 0) {
			if (args == MAX_ARGS)
				return "more than 512 arguments";
			launch.argv[args++] = value;
		} else if (strcmp(key, "env") == 0) {
			if (envs == MAX_ARGS - 2)
				return "more than 510 environment variables";
			launch.envp[envs++] = value;
			has_path = has_path || strncmp(value, "PATH=", 5) == 0;
		} else if (strcmp(key, "rlimit") == 0) {
			if (!add_rlimit(value))
				return "rlimit is NAME:NUMBER, as NPROC:10, at most 8 of them";
		} else if (strcmp(key, "cwd") == 0) {
			launch.cwd = value;
		} else if (strcmp(key, "stdin") == 0) {
			launch.input = value;
		}
	}
	if (!has_path)
		launch.envp[envs++] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	launch.envp[envs] = "PYTHONDONTWRITEBYTECODE=1";
	launch.path = launch.argv[0];
	launch.cgroup = word(step, "cgroup");
	launch.sched = word(step, "sched");
	launch.privileged = word(step, "privileged") && strcmp(word(step, "privileged"), "1") == 0;
	if (word(step, "oom_score_adj"))
		launch.adj = word(step, "oom_score_adj");
	if ((value = word(step, "uid")))
		parse_int(value, 0, 0x7fffffff, &launch.uid);
	if ((value = word(step, "gid")))
		parse_int(value, 0, 0x7fffffff, &launch.gid);
	else
		launch.gid = launch.uid;
	return NULL;
}

/* Start the program that was prepared in `launch`; returns as start() does. */
pid_t launch_start(int in, int out, int err)
{
	launch.in = in;
	launch.out = out;
	launch.err = err;
	return start();
}

/* Start the prepared program with that terminal as its standard input, output and error. */
pid_t launch_on_terminal(const char *tty)
{
	launch.in = -1;
	launch.tty = tty;
	return start();
}

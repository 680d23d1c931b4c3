// SPDX-License-Identifier: MIT
/*
 * The plan's programs: spawned without a copy of the agent (clone with CLONE_VM | CLONE_VFORK, so that no page table is
 * copied and nothing is charged, whatever vm.overcommit_memory says), heard line by line, and reaped.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

struct program programs[MAX_PROGRAMS];
const char *payload_dir = "/payload";
static struct region regions[MAX_REGIONS];
static int region_count;

struct program *program_named(const char *name)
{
	for (int i = 0; i < MAX_PROGRAMS; i++)
		if (programs[i].pid && strcmp(programs[i].name, name) == 0)
			return &programs[i];
	return NULL;
}

const struct region *region_named(const struct program *program, const char *name)
{
	for (int i = 0; i < region_count; i++)
		if (regions[i].program == program && strcmp(regions[i].name, name) == 0)
			return &regions[i];
	return NULL;
}

/* What the child does between clone and execve; it shares the agent's memory, so it only leaves errno and a stage. */
struct launch {
	const char *argv[MAX_ARGS + 1], *envp[MAX_ARGS + 1];
	const char *path, *cwd, *cgroup, *adj, *tty, *sched;
	long uid, gid;
	int out, err;
	struct { int resource; struct rlimit limit; } rlimits[8];
	int rlimit_count;
	const char *stage;	/* what failed, when err is not 0 */
	int errnum;
};

static struct launch launch;
static char launch_stack[16 * 1024] __attribute__((aligned(16)));
static char launch_text[8 * 1024];	/* arguments in which {payload} was replaced */

static const struct { const char *name; int resource; } resources[] = {
	{ "AS", RLIMIT_AS }, { "CORE", RLIMIT_CORE }, { "CPU", RLIMIT_CPU }, { "DATA", RLIMIT_DATA },
	{ "FSIZE", RLIMIT_FSIZE }, { "LOCKS", RLIMIT_LOCKS }, { "MEMLOCK", RLIMIT_MEMLOCK },
	{ "NICE", RLIMIT_NICE }, { "NOFILE", RLIMIT_NOFILE }, { "NPROC", RLIMIT_NPROC },
	{ "RSS", RLIMIT_RSS }, { "RTPRIO", RLIMIT_RTPRIO }, { "SIGPENDING", RLIMIT_SIGPENDING },
	{ "STACK", RLIMIT_STACK },
};

/* struct sched_attr of sched_setattr(2): glibc does not declare it, and linux/sched/types.h does not go with sched.h. */
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

static int join_cgroup(const char *name)
{
	char path[PATH_BYTES] = "/sys/fs/cgroup/";

	strncat(path, name, sizeof(path) - 64);
	strcat(path, "/cgroup.procs");
	return spill(path, "0");
}

static int launched(void *unused)
{
	sigset_t none;

	(void)unused;
#define TRY(name, call) do { launch.stage = (name); if ((call) < 0) goto failed; } while (0)
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
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		TRY("open of /dev/null", null);
		TRY("dup2", dup2(null, 0));
		TRY("dup2", dup2(launch.out, 1));
		TRY("dup2", dup2(launch.err, 2));
	}
	if (launch.adj)
		TRY("oom_score_adj", spill("/proc/self/oom_score_adj", launch.adj));
	if (launch.cgroup)
		TRY("cgroup.procs", join_cgroup(launch.cgroup));
	TRY("sched_setattr", set_scheduler(launch.sched ? launch.sched : "other"));
	if (launch.cwd)
		TRY("chdir", chdir(launch.cwd));
	for (int i = 0; i < launch.rlimit_count; i++)
		TRY("setrlimit", setrlimit((__rlimit_resource_t)launch.rlimits[i].resource,
					   &launch.rlimits[i].limit));
	/* Raw system calls: glibc's would signal the other threads that it believes to exist. */
	if (launch.gid >= 0) {
		TRY("setgroups", syscall(SYS_setgroups, 0, NULL));
		TRY("setgid", syscall(SYS_setresgid, launch.gid, launch.gid, launch.gid));
	}
	if (launch.uid >= 0)
		TRY("setuid", syscall(SYS_setresuid, launch.uid, launch.uid, launch.uid));
	TRY("execve", execve(launch.path, (char *const *)launch.argv, (char *const *)launch.envp));
failed:
	launch.errnum = errno;
	_exit(127);
#undef TRY
}

/* Returns the pid, or -1 with errno and launch.stage ("fork" when there was no process at all). */
static pid_t start(void)
{
	pid_t pid;

	launch.errnum = 0;
	launch.stage = "fork";
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

/* A process that is no program of the plan: Dropbear, a shell for people. */
pid_t start_helper(const char *const argv[], int out_fd, const char *tty)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=linux" };
	int i;

	launch = (struct launch){ .uid = -1, .gid = -1, .adj = "0", .out = out_fd, .err = out_fd, .tty = tty };
	for (i = 0; argv[i] && i < MAX_ARGS; i++)
		launch.argv[i] = argv[i];
	memcpy(launch.envp, env, sizeof(env));
	launch.path = argv[0];
	return start();
}

/* {payload} stands for the payload's folder. Returns NULL when there is no room. */
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

/* The step's words into `launch`. Returns what is wrong, or NULL. */
static const char *prepare(const struct step *step)
{
	int args = 0, envs = 0;
	size_t used = 0;
	const char *value;

	launch = (struct launch){ .uid = -1, .gid = -1, .adj = "0" };
	for (int i = 0; i < step->count; i++) {
		const char *key = step->words[i].key;

		value = expand(step->words[i].value, &used);
		if (!value)
			return "the arguments are too long";
		if (strcmp(key, "arg") == 0) {
			if (args == MAX_ARGS)
				return "more than 64 arguments";
			launch.argv[args++] = value;
		} else if (strcmp(key, "env") == 0) {
			if (envs == MAX_ARGS - 2)
				return "more than 62 environment variables";
			launch.envp[envs++] = value;
		} else if (strcmp(key, "rlimit") == 0) {
			if (!add_rlimit(value))
				return "rlimit is NAME:NUMBER, as NPROC:10, at most 8 of them";
		} else if (strcmp(key, "cwd") == 0) {
			launch.cwd = value;
		}
	}
	launch.envp[envs++] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	launch.envp[envs] = "PYTHONDONTWRITEBYTECODE=1";
	launch.path = launch.argv[0];
	launch.cgroup = word(step, "cgroup");
	launch.sched = word(step, "sched");
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

static void close_stream(struct stream *stream)
{
	if (stream->fd > 0)
		close(stream->fd);
	stream->fd = -1;
	stream->length = 0;
	stream->skipping = false;
}

/* The slot of a program of that name that ended, or a free one. */
static struct program *slot_for(const char *name)
{
	struct program *program = program_named(name);

	for (int i = 0; !program && i < MAX_PROGRAMS; i++)
		if (!programs[i].pid)
			program = &programs[i];
	return program;
}

enum outcome begin_spawn(struct step *step)
{
	struct program *program = slot_for(word(step, "program"));
	int out[2] = { -1, -1 }, err[2] = { -1, -1 }, errnum;
	const char *wrong = prepare(step);
	pid_t pid = -1;

	if (wrong)
		return fail(EINVAL, "%s", wrong);
	if (program->alive)
		return fail(EEXIST, "%s is still running", word(step, "program"));
	if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0) {
		launch.out = out[1];
		launch.err = err[1];
		pid = start();
	} else {
		launch.stage = "pipe";
	}
	errnum = errno;
	if (out[1] >= 0)
		close(out[1]);
	if (err[1] >= 0)
		close(err[1]);
	if (pid < 0) {
		if (out[0] >= 0)
			close(out[0]);
		if (err[0] >= 0)
			close(err[0]);
		return fail(errnum, "%s of %s failed", launch.stage, launch.path);
	}
	close_stream(&program->out);
	close_stream(&program->err);
	copy_name(program->name, sizeof(program->name), word(step, "program"));
	program->pid = pid;
	program->alive = true;
	program->last_line[0] = '\0';
	program->out.fd = out[0];
	program->err.fd = err[0];
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	forget_lines(program);
	rec_begin("spawn");
	rec_str("program", program->name);
	rec_int("pid", pid);
	rec_end();
	return STEP_DONE;
}

/* "region NAME START LENGTH", the numbers in hex. The last word said about a name stands. */
static void note_region(const struct program *program, const char *line)
{
	struct region *region;
	char text[128], *save, *name, *start, *length;

	copy_name(text, sizeof(text), line);
	strtok_r(text, " ", &save);
	name = strtok_r(NULL, " ", &save);
	start = strtok_r(NULL, " ", &save);
	length = strtok_r(NULL, " ", &save);
	if (!name || !start || !length)
		return;
	region = (struct region *)region_named(program, name);
	if (!region) {
		if (region_count == MAX_REGIONS)
			return;
		region = &regions[region_count++];
	}
	region->program = program;
	copy_name(region->name, sizeof(region->name), name);
	if (!parse_hex(start, &region->start) || !parse_hex(length, &region->length))
		region->length = 0;
}

static void heard(struct program *program, const struct stream *stream, size_t length)
{
	bool is_stdout = stream == &program->out;
	char line[LINE_BYTES + 1];

	rec_begin("line");
	rec_str("program", program->name);
	rec_int("pid", program->pid);
	rec_str("stream", is_stdout ? "stdout" : "stderr");
	rec_text("text", stream->buf, length);
	rec_end();
	if (!is_stdout)
		return;
	memcpy(line, stream->buf, length);
	line[length] = '\0';
	copy_name(program->last_line, sizeof(program->last_line), line);
	if (strncmp(line, "region ", 7) == 0)
		note_region(program, line);
	count_line(program, line);
}

static void split_lines(struct program *program, struct stream *stream)
{
	char *newline;

	while ((newline = memchr(stream->buf, '\n', stream->length))) {
		size_t length = (size_t)(newline - stream->buf);

		if (!stream->skipping)
			heard(program, stream, length);
		stream->skipping = false;
		stream->length -= length + 1;
		memmove(stream->buf, newline + 1, stream->length);
	}
	if (stream->length == sizeof(stream->buf)) {
		if (!stream->skipping)
			heard(program, stream, stream->length);
		stream->skipping = true;
		stream->length = 0;
	}
}

/* At most one buffer a call, so that a program which prints without end cannot hold the loop. */
void program_readable(struct program *program, struct stream *stream)
{
	ssize_t got = read(stream->fd, stream->buf + stream->length, sizeof(stream->buf) - stream->length);

	if (got < 0)
		return;
	if (got == 0) {
		if (stream->length && !stream->skipping)
			heard(program, stream, stream->length);
		close_stream(stream);
		return;
	}
	stream->length += (size_t)got;
	split_lines(program, stream);
}

/* Everything that a program said before its end is said before its end is told. */
static void drain(struct program *program)
{
	for (struct stream *stream = &program->out; stream <= &program->err; stream++)
		for (int i = 0; i < 64 && stream->fd > 0; i++) {
			size_t before = stream->length;
			int avail = 0;

			if (ioctl(stream->fd, FIONREAD, &avail) || avail == 0)
				break;
			program_readable(program, stream);
			if (stream->length == before && stream->fd < 0)
				break;
		}
}

static void say_exit(const char *program, const char *comm, pid_t pid, int status, const struct rusage *usage)
{
	rec_begin("exit");
	rec_str("program", program);
	rec_str("comm", comm);
	rec_int("pid", pid);
	if (WIFSIGNALED(status))
		rec_str("signal", sigabbrev_np(WTERMSIG(status)) ?: "?");
	else
		rec_int("code", WEXITSTATUS(status));
	rec_int("minflt", usage->ru_minflt);
	rec_int("majflt", usage->ru_majflt);
	rec_time("utime", usage->ru_utime.tv_sec * NSEC + usage->ru_utime.tv_usec * 1000);
	rec_time("stime", usage->ru_stime.tv_sec * NSEC + usage->ru_stime.tv_usec * 1000);
	rec_int("maxrss_kb", usage->ru_maxrss);
	rec_end();
	exited(program, comm, pid, status);
}

/* Every zombie that is ours: programs, and orphans that came to us as PID 1. */
void reap(void)
{
	for (;;) {
		const struct program *owner = NULL;
		struct program *spawned = NULL;
		struct member zombie = { .stat_fd = -1 };
		siginfo_t info = { .si_pid = 0 };
		struct rusage usage;
		int status;

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		zombie.pid = info.si_pid;
		read_stat(&zombie);
		for (int i = 0; i < MAX_PROGRAMS; i++) {
			if (programs[i].pid == zombie.pid && programs[i].alive)
				spawned = &programs[i];
			if (programs[i].pid && programs[i].pid == zombie.sid)
				owner = &programs[i];
		}
		for (int i = 0; i < MAX_MEMBERS && !owner; i++)
			if (members[i].pid == zombie.pid)
				owner = members[i].program;
		if (spawned) {
			owner = spawned;
			drain(spawned);
		}
		if (wait4(zombie.pid, &status, 0, &usage) < 0)
			return;
		shell_ended(zombie.pid);
		member_forget_pid(zombie.pid, status);
		if (spawned) {
			spawned->alive = false;
			spawned->status = status;
		}
		if (owner)
			say_exit(owner->name, zombie.comm, zombie.pid, status, &usage);
	}
}

/*
 * A program says its line before it stops itself, and the agent, first in line for the processor, has read that line
 * before the program's next instruction: a SIGCONT sent at once would be lost. So CONT waits until its targets are
 * stopped.
 */
static const struct member *not_stopped(const struct program *program, const char *comm)
{
	for (struct member *m = member_of(program, comm, NULL); m; m = member_of(program, comm, m))
		if ((comm || m->pid == program->pid) && m->state != 'T')
			return m;
	return NULL;
}

enum outcome begin_signal(struct step *step)
{
	if (parse_signal(word(step, "signal")) == SIGCONT && step->timeout == 0)
		step->timeout = 5 * NSEC;
	return check_signal(step);
}

enum outcome check_signal(struct step *step)
{
	const struct program *program = program_named(word(step, "program"));
	const char *comm = word(step, "comm");
	int sig = parse_signal(word(step, "signal")), sent = 0;

	if (!program)
		return fail(ESRCH, "%s was not spawned", word(step, "program"));
	members_refresh();
	if (sig == SIGCONT && not_stopped(program, comm)) {
		poll_again();
		return STEP_WAITING;
	}
	for (struct member *m = member_of(program, comm, NULL); m; m = member_of(program, comm, m)) {
		if (!comm && m->pid != program->pid)
			continue;
		if (kill(m->pid, sig))
			return fail(errno, "kill of %d failed", m->pid);
		sent++;
	}
	if (sent)
		return STEP_DONE;
	return fail(ESRCH, "%s has no process%s%s", program->name, comm ? " named " : "", comm ? comm : "");
}

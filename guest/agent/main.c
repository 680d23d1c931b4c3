// SPDX-License-Identifier: MIT
/* The entry point. The binary is the guest's /init, checks a plan, or runs a plan on any Linux (--run). */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

static const char usage[] =
	"usage: rig-agent --check PLAN            say what is wrong with a plan, with line numbers\n"
	"       rig-agent --run PLAN [PAYLOAD [PORT]]\n"
	"                                         run a plan here, records to standard output, or to PORT as in a guest:\n"
	"                                         what it does not take is dropped and counted\n"
	"       rig-agent --version\n"
	"As PID 1 it is the guest's /init and takes no arguments. Exit status: 0 done, 1 the plan is wrong or its\n"
	"step failed, 2 the plan cannot be read, 64 usage error.\n";

static void print_problem(int line, const char *text)
{
	fprintf(stderr, "line %d: %s\n", line, text);
}

static void say_problem(int line, const char *text)
{
	rec_begin("bad_plan");
	rec_int("line", line);
	rec_str("problem", text);
	rec_end();
}

static int load(const char *path, void (*problem)(int line, const char *text))
{
	int problems = plan_load(path, problem);

	if (problems < 0)
		fprintf(stderr, "%s: %s\n", path, strerrorname_np(errno));
	return problems < 0 ? 2 : problems ? 1 : 0;
}

/* For --run: kill the plan's programs at the end. In a guest the power-off does that. */
static void end_programs(void)
{
	for (;;) {
		int killed = 0;

		members_refresh();
		for (int i = 0; i < MAX_MEMBERS; i++)
			if (members[i].pid && !members[i].ended && kill(members[i].pid, SIGKILL) == 0)
				killed++;
		if (!killed)
			return;
		while (killed && waitpid(-1, NULL, 0) > 0)
			killed--;
	}
}

static int run_here(const char *path, const char *port)
{
	int status = load(path, print_problem), fd = STDOUT_FILENO;

	if (status)
		return status;
	if (port && (fd = open(port, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0) {
		fprintf(stderr, "%s: %s\n", port, strerrorname_np(errno));
		return 2;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	port_set(fd, !port);
	loop_open();
	kmsg_open();
	prepare_counts();
	status = run_plan();
	heartbeat_stop();
	port_drain(5 * NSEC);
	port_set(-1, false);
	end_programs();
	return status;
}

static void run_as_init(void)
{
	char path[PATH_BYTES];
	int problems;

	boot();
	wait_for_payload();
	snprintf(path, sizeof(path), "%s/plan", payload_dir);
	if (access(path, F_OK))
		go_live();
	snprintf(path, sizeof(path), "%s/plan", payload_dir);
	problems = plan_load(path, say_problem);
	if (problems < 0)
		die("payload: plan");
	rec_begin("go");
	rec_int("steps", plan.count);
	rec_str("payload", payload_dir);
	rec_bool("dax", has_dax(path));
	say_memory();
	say_counted();
	rec_int("kernel_lines", kmsg_most());
	rec_bool("kmsg", kmsg_fd() >= 0);
	rec_bool("pvpanic", has_pvpanic());
	rec_bool("own_mounts", has_own_mounts());
	rec_bool("ends", ends_fd() >= 0);
	rec_bool("faults", counts_faults());
	rec_end();
	if (problems)
		say_end("bad-plan", -1);
	else
		run_plan();
	power_off();
}

int main(int argc, char **argv)
{
	syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);	/* programs must not inherit the caller's */
	if (getpid() == 1)
		run_as_init();
	if (strcmp(argv[0], HEARTBEAT) == 0)
		return heartbeat_main(argv);
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts(AGENT_VERSION) < 0;
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(usage, stdout) < 0;
	if (argc == 3 && strcmp(argv[1], "--check") == 0)
		return load(argv[2], print_problem);
	if (argc >= 3 && argc <= 5 && strcmp(argv[1], "--run") == 0) {
		payload_dir = argc > 3 ? argv[3] : ".";
		return run_here(argv[2], argc > 4 ? argv[4] : NULL);
	}
	fputs(usage, stderr);
	return 64;
}

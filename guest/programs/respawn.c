// SPDX-License-Identifier: MIT
/*
 * respawn: one main process and its tasks. When a task ends, for whatever reason, a new one is forked for its slot.
 */
#include <getopt.h>
#include <sys/wait.h>

#include "phases.h"

static const char help[] =
	"usage: respawn [options]\n"
	"A main process keeps N tasks alive. Each has a slot; when a task ends, a new one takes its slot.\n"
	"\n"
	"  --tasks N      how many (5, at most 9)\n"
	"  --hold SIZE    memory that each task writes to (0)\n"
	"  --grow SIZE    what a task takes in addition when it gets SIGUSR2 (64M)\n"
	"  --pause TIME   before a task is born again (0s): a supervisor that does not wait can spin\n"
	"\n"
	"Lines: 'born SLOT PID' (the main process), 'task SLOT ready' (the task), 'died SLOT PID exited CODE' or\n"
	"'died SLOT PID killed SIGNAL', 'growing SLOT', 'stopped' at the end.\n"
	"A task ends as it is told: SIGUSR1 exits with 3, SIGUSR2 takes memory until it has --grow, any other signal does\n"
	"what it does. SIGTERM to the main process ends all. The main process is 'main', the tasks are 'task1', ...\n"
	"Exit status: 0 stopped, 64 usage error, 71 the kernel refused: 'fork: EAGAIN'.\n";

enum { MAX_TASKS = 9 };

static long tasks = 5;
static size_t hold_size, grow_size = 64 << 20;
static int64_t pause_ns;
static pid_t main_pid, slots[MAX_TASKS + 1];	/* from 1 */
static volatile sig_atomic_t asked_to_exit, asked_to_grow;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		asked_to_exit = 1;
	else
		asked_to_grow = 1;
}

static void take(size_t size)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	volatile uint64_t *array;

	if (!size)
		return;
	array = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (array == MAP_FAILED)
		refused("mmap");
	for (size_t page = 0; page < size / page_size; page++)
		write_page(array, page, 1);
}

__attribute__((noreturn))
static void task(long slot)
{
	const struct sigaction act = { .sa_handler = on_signal };
	sigset_t mine, before;
	char name[16];

	snprintf(name, sizeof(name), "task%ld", slot);
	take_role(name);
	end_with_parent(main_pid);
	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGUSR2, &act, NULL);
	sigemptyset(&mine);
	sigaddset(&mine, SIGUSR1);
	sigaddset(&mine, SIGUSR2);
	sigprocmask(SIG_SETMASK, &mine, NULL);
	sigemptyset(&before);
	take(hold_size);
	say("task %ld ready", slot);
	for (;;) {
		sigsuspend(&before);	/* both signals are unblocked only here, so none is missed */
		if (asked_to_exit)
			_exit(3);
		if (asked_to_grow) {
			asked_to_grow = 0;
			say("growing %ld", slot);
			take(grow_size);
			say("grown %ld", slot);
		}
	}
}

static void give_birth(long slot)
{
	pid_t pid = fork();

	if (pid < 0)
		refused("fork");
	if (pid == 0)
		task(slot);
	slots[slot] = pid;
	say("born %ld %d", slot, pid);
}

static void bury(pid_t pid, int status, bool again)
{
	for (long slot = 1; slot <= tasks; slot++) {
		if (slots[slot] != pid)
			continue;
		if (WIFSIGNALED(status))
			say("died %ld %d killed %s", slot, pid, sigabbrev_np(WTERMSIG(status)));
		else
			say("died %ld %d exited %d", slot, pid, WEXITSTATUS(status));
		slots[slot] = 0;
		if (again) {
			sleep_for(pause_ns);
			give_birth(slot);
		}
	}
}

/* sigwaitinfo() takes SIGCHLD and SIGTERM one at a time: without a handler there is no race with one. */
static void supervise(void)
{
	sigset_t awaited;
	int status;
	pid_t pid;

	sigemptyset(&awaited);
	sigaddset(&awaited, SIGCHLD);
	sigaddset(&awaited, SIGTERM);
	sigprocmask(SIG_BLOCK, &awaited, NULL);
	for (long slot = 1; slot <= tasks; slot++)
		give_birth(slot);
	while (sigwaitinfo(&awaited, NULL) != SIGTERM)
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			bury(pid, status, true);
	for (long slot = 1; slot <= tasks; slot++)
		if (slots[slot])
			kill(slots[slot], SIGKILL);
	while ((pid = waitpid(-1, &status, 0)) > 0)
		bury(pid, status, false);
	say("stopped");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "tasks", required_argument, NULL, 'n' }, { "hold", required_argument, NULL, 's' },
		{ "grow", required_argument, NULL, 'g' }, { "pause", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'n': tasks = number_of("--tasks", optarg, 1, MAX_TASKS); break;
		case 's': hold_size = size_of("--hold", optarg); break;
		case 'g': grow_size = size_of("--grow", optarg); break;
		case 'p': pause_ns = duration_of("--pause", optarg); break;
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("respawn takes no such option");
		}
	}
	if (optind != argc)
		usage_error("'%s' is not an option", argv[optind]);
	take_role("main");
	main_pid = getpid();
	supervise();
	return 0;
}

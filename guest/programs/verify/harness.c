// SPDX-License-Identifier: MIT
/* verify: runs checks of the kernel's overcommit and OOM rules, each in a process of its own. For `rig verify`. */
#include <sys/utsname.h>

#include "verify.h"

static const char help[] =
	"usage: verify [--harmful] CHECK[~CONDITION]...\n"
	"       verify --host [--harmful] [CHECK]...\n"
	"       verify --list | --wait\n"
	"Measures each check and prints its numbers: 'check NAME key=value ...', sizes in kB; rig judges them.\n"
	"CHECK~CONDITION runs a check with one of its conditions negated. --list prints the checks, whether they are\n"
	"harmless, and their conditions. The others change sysctls, exhaust the memory, or panic the kernel.\n"
	"--harmful: also run a CHECK that is not harmless, as root, on a machine that nobody uses.\n"
	"--wait: end with standard input; for checks of exec.\n"
	"--host: on a machine that others use: mark nothing in the kernel's log, and without a CHECK run all that are\n"
	"harmless, and print which were left out. The output can be judged elsewhere: rig verify --judge FILE.\n";

static const struct check *const tables[] = {
	limits_checks, reserves_checks, refusals_checks, watermarks_checks, commit_checks, shared_checks, fork_checks,
	score_checks, origins_checks, oom_checks, exiting_checks, requests_checks, memcg_checks, panic_checks,
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

enum { TRIES = 10 };

static const struct check *running;
static const char *title;	/* NAME, or NAME~CONDITION */
static const char *left_out;	/* the condition that the mutant negates, or NULL */
static volatile bool *was_left_out;	/* shared with the check's process */

void tell(const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say("check %s %s", title, text);
}

bool listed(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += length)
		if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
			return true;
	return false;
}

bool declared(const char *name)
{
	return listed(running->conditions, name);
}

bool condition(const char *name)
{
	if (!declared(name))
		broken("condition-%s-is-not-declared", name);
	if (!left_out || strcmp(left_out, name) != 0)
		return true;
	*was_left_out = true;
	return false;
}

void not_applicable(int error)
{
	tell("na=%s", strerrorname_np(error));
	_exit(0);
}

void broken(const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tell("broken=%s", text);
	_exit(0);
}

void needs(const char *what, int error, int lacking)
{
	if (error && error == lacking)
		not_applicable(error);
	if (error)
		broken("%s-%s", what, strerrorname_np(error));
}

/* Write a mark to the kernel log: the host attributes the kernel's messages between two marks to the check. */
static void mark(const char *what)
{
	char line[128];
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	snprintf(line, sizeof(line), "<6>rig-verify: %s %s\n", what, title);
	if (fd < 0)
		return;
	if (write(fd, line, strlen(line)) < 0)
		say("kmsg: %s", strerrorname_np(errno));
	close(fd);
}

static const struct check *find(const char *name, size_t length)
{
	for (size_t i = 0; i < TABLES; i++)
		for (const struct check *each = tables[i]; each->name; each++)
			if (strlen(each->name) == length && strncmp(each->name, name, length) == 0)
				return each;
	usage_error("there is no check '%.*s'", (int)length, name);
}

/* A mistyped call must not cost a machine, so every name is looked at before the first check runs. */
static void refuse_harmful(char **names)
{
	for (; *names; names++)
		if (!find(*names, strcspn(*names, "~"))->harmless)
			usage_error("'%s' changes this machine, kills or panics; --harmful before it allows that", *names);
}

static void run(const char *name, bool marked)
{
	const char *tilde = strchr(name, '~');
	int status;
	pid_t pid;

	running = find(name, tilde ? (size_t)(tilde - name) : strlen(name));
	title = name;
	left_out = tilde ? tilde + 1 : NULL;
	*was_left_out = false;
	if (left_out && !listed(running->conditions, left_out))
		usage_error("'%s' has no condition '%s'", running->name, left_out);
	if (marked)
		mark("begin");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		running->run();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		refused("fork");
	/* A process that the check left behind holds memory that the next check needs. */
	kill(-pid, SIGKILL);
	while (wait(NULL) > 0)
		;
	if (status)
		tell("broken=%d", status);
	if (left_out && !*was_left_out)
		tell("not_negated=%s", left_out);
	if (marked)
		mark("end");
}

static void list(void)
{
	for (size_t i = 0; i < TABLES; i++)
		for (const struct check *each = tables[i]; each->name; each++)
			say("%s %s %s", each->name, each->harmless ? "harmless" : "harmful", each->conditions);
}

static void run_and_restore(const char *name, bool host)
{
	run(name, !host);
	if (!find(name, strcspn(name, "~"))->harmless)
		restore_settings();
}

static void list_left_out(void)
{
	for (size_t i = 0; i < TABLES; i++)
		for (const struct check *each = tables[i]; each->name; each++)
			if (!each->harmless)
				say("left out, because it changes the machine, kills or panics: %s", each->name);
}

static void run_harmless(void)
{
	for (size_t i = 0; i < TABLES; i++)
		for (const struct check *each = tables[i]; each->name; each++)
			if (each->harmless)
				run_and_restore(each->name, true);
}

/* Returns 0 when the kernel reports the value that was set. */
static int protect_from_oom_killer(void)
{
	const char *path = "/proc/self/oom_score_adj";

	return spill(path, "-1000") || strcmp(slurp(path) ?: "", "-1000\n") != 0;
}

/*
 * Let holders have huge pages: below 512 MB of RAM the kernel turns them off (hugepage_init() of mm/huge_memory.c). None
 * is made by reclaim, compaction or khugepaged, which would disturb what a check measures.
 */
static void allow_huge_pages(void)
{
#define THP "/sys/kernel/mm/transparent_hugepage/"
	long min_free = get_vm("min_free_kbytes");

	spill(THP "defrag", "never");
	spill(THP "khugepaged/defrag", "0");
	spill(THP "khugepaged/pages_to_scan", "1");
	/* The kernel raises vm.min_free_kbytes for them (set_recommended_min_free_kbytes() of mm/khugepaged.c). */
	if (!spill(THP "enabled", "madvise"))
		set_vm("min_free_kbytes", min_free);
}

int main(int argc, char **argv)
{
	bool host = false, harmful = false;
	struct utsname system;
	int first = 1;

	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return argc < 2 ? EXIT_USAGE : 0;
	}
	if (strcmp(argv[1], "--wait") == 0) {
		char byte;

		return read(STDIN_FILENO, &byte, 1) < 0;
	}
	if (strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	for (; first < argc; first++)
		if (strcmp(argv[first], "--host") == 0)
			host = true;
		else if (strcmp(argv[first], "--harmful") == 0)
			harmful = true;
		else
			break;
	if (!host && first == argc)
		usage_error("no check is named");
	if (!harmful)
		refuse_harmful(argv + first);
	/* In a guest: exempt from the OOM killer, and locked, so that it faults no page while none is free. */
	if (!host && protect_from_oom_killer())
		refused("oom_score_adj");
	if (!host && mlockall(MCL_CURRENT))
		refused("mlockall");
	/*
	 * The thread of DAMON_STAT (mm/damon/stat.c, since 6.17) allocates every few milliseconds. In a full machine it is
	 * then the one that calls the OOM killer, also where the request of the check calls nobody.
	 */
	if (!host)
		spill("/sys/module/damon_stat/parameters/enabled", "N");
	if (!host)
		allow_huge_pages();
	was_left_out = (volatile bool *)mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (was_left_out == MAP_FAILED)
		refused("mmap");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		refused("prctl");
	if (harmful)
		save_settings();
	if (host && !uname(&system))
		say("kernel %s", system.release);
	if (host && first == argc)
		list_left_out();
	for (int i = first; i < argc; i++)
		run_and_restore(argv[i], host);
	/* On a host other processes allocate meanwhile, so all checks are tried again; rig judges each try. */
	for (int try = 1; host && first == argc && try <= TRIES; try++) {
		say("try %d", try);
		run_harmless();
	}
	return 0;
}

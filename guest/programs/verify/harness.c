// SPDX-License-Identifier: MIT
/* verify: runs checks of the kernel's overcommit and OOM rules, each in a process of its own. For `rig verify`. */
#include "verify.h"

static const char help[] =
	"usage: verify [--host] CHECK[~CONDITION]...\n"
	"       verify --list\n"
	"Measures each check and prints its numbers: 'check NAME key=value ...', sizes in kB; rig judges them.\n"
	"CHECK~CONDITION runs a check with one of its conditions negated. --list prints the checks, whether they are\n"
	"harmless, and their conditions. The others run as root in a guest: they change sysctls, exhaust the memory, or\n"
	"panic the kernel.\n"
	"--host: mark nothing in the kernel's log and leave the sysctls alone between the checks.\n";

static const struct check *const tables[] = {
	commit_checks, limits_checks, oom_checks, memcg_checks, panic_checks,
};

/* What checks set, put back after each. */
static struct { const char *name; long value; } sysctls[] = {
	{ "overcommit_memory", 0 }, { "overcommit_ratio", 0 }, { "admin_reserve_kbytes", 0 },
	{ "user_reserve_kbytes", 0 }, { "max_map_count", 0 }, { "min_free_kbytes", 0 }, { "nr_hugepages", 0 },
	{ "oom_kill_allocating_task", 0 }, { "oom_dump_tasks", 0 }, { "panic_on_oom", 0 },
	{ "watermark_scale_factor", 0 },
};
#define SYSCTLS (sizeof(sysctls) / sizeof(sysctls[0]))

static const struct check *running;
static const char *title;	/* NAME, or NAME~CONDITION */
static const char *left_out;	/* the condition of the mutant, or NULL */
static volatile bool *was_left_out;	/* shared with the check's process */
static char file_text[256 * 1024];

void tell(const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say("check %s %s", title, text);
}

/* Whether a word is in a list of words. */
static bool listed(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += length)
		if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
			return true;
	return false;
}

bool condition(const char *name)
{
	if (!listed(running->conditions, name)) {
		tell("broken=condition-%s-is-not-declared", name);
		_exit(EXIT_REFUSED);
	}
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

char *slurp(const char *path)
{
	size_t length = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	while ((got = read(fd, file_text + length, sizeof(file_text) - 1 - length)) > 0)
		length += (size_t)got;
	close(fd);
	if (got < 0)
		return NULL;
	file_text[length] = '\0';
	return file_text;
}

int spill(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) < 0)
		err = errno;
	close(fd);
	return err;
}

int set_vm(const char *name, long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	snprintf(text, sizeof(text), "%ld", value);
	return spill(path, text);
}

long get_vm(const char *name)
{
	char path[128];
	char *text;

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	text = slurp(path);
	return text ? strtol(text, NULL, 10) : -1;
}

void given_vm(const char *name, long value, long otherwise)
{
	int err = set_vm(name, condition(name) ? value : otherwise);

	if (err)
		not_applicable(err);
	tell("%s=%ld", name, get_vm(name));
}

long number_in(const char *path, const char *key)
{
	char *text = slurp(path), *at = text;
	size_t length = strlen(key);

	while (at && (at = strstr(at, key))) {
		if ((at == text || at[-1] == '\n') && (at[length] == ' ' || at[length] == ':' || at[length] == '\t'))
			return strtol(at + length + 1, NULL, 10);
		at += length;
	}
	return -1;
}

long meminfo(const char *key)
{
	long value = number_in("/proc/meminfo", key);

	if (value < 0) {
		tell("na=no-%s-in-meminfo", key);
		_exit(0);
	}
	return value;
}

long committed(void)
{
	return meminfo("Committed_AS");
}

char *map(long bytes, int prot, int flags)
{
	char *at = mmap(NULL, (size_t)bytes, prot, flags, -1, 0);

	if (at == MAP_FAILED) {
		tell("broken=mmap-%s", strerrorname_np(errno));
		_exit(EXIT_REFUSED);
	}
	return at;
}

void touch(char *at, long bytes)
{
	for (long i = 0; i < bytes; i += PAGE)
		((volatile char *)at)[i] = 1;
}

long resident(const void *at, long bytes)
{
	static unsigned char pages[64 * 1024];
	long count = 0;

	if (bytes / PAGE > (long)sizeof(pages) || mincore((void *)(uintptr_t)at, (size_t)bytes, pages))
		return -1;
	for (long i = 0; i < bytes / PAGE; i++)
		count += pages[i] & 1;
	return count * PAGE / KB;
}

long vm_flag(const void *at, const char *flag)
{
	char *line = slurp("/proc/self/smaps"), *end;
	unsigned long from, to;
	bool here = false;

	for (; line && *line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (uintptr_t)at && (uintptr_t)at < to;
		else if (here && strncmp(line, "VmFlags: ", 9) == 0)
			return listed(line + 9, flag);
	}
	return -1;
}

/* Into the kernel's log, where the host finds what a check made the kernel say. */
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
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct check *each = tables[i]; each->name; each++)
			if (strlen(each->name) == length && strncmp(each->name, name, length) == 0)
				return each;
	usage_error("there is no check '%.*s'", (int)length, name);
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
	/* Whoever it left holds memory that the next check counts on. */
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
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct check *each = tables[i]; each->name; each++)
			say("%s %s %s", each->name, each->harmless ? "harmless" : "harmful", each->conditions);
}

int main(int argc, char **argv)
{
	bool host = argc > 1 && strcmp(argv[1], "--host") == 0;

	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return argc < 2 ? EXIT_USAGE : 0;
	}
	if (strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	/* In a guest: never a candidate of the OOM killer itself, and never in need of memory while there is none. */
	if (!host && spill("/proc/self/oom_score_adj", "-1000"))
		refused("oom_score_adj");
	if (!host && mlockall(MCL_CURRENT))
		refused("mlockall");
	was_left_out = (volatile bool *)mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (was_left_out == MAP_FAILED)
		refused("mmap");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		refused("prctl");
	for (size_t i = 0; i < SYSCTLS; i++)
		sysctls[i].value = get_vm(sysctls[i].name);
	for (int i = 1 + host; i < argc; i++) {
		run(argv[i], !host);
		for (size_t j = 0; j < SYSCTLS && !find(argv[i], strcspn(argv[i], "~"))->harmless; j++)
			set_vm(sysctls[j].name, sysctls[j].value);
	}
	return 0;
}

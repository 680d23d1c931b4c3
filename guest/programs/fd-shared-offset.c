// SPDX-License-Identifier: MIT
/*
 * fd-shared-offset: fork copies descriptors, not open files. Parent and child hold two numbers for one open file
 * description, and the offset and the status flags are kept there.
 */
#include <fcntl.h>
#include <getopt.h>
#include <sys/wait.h>

#include "phases.h"

static const char help[] =
	"usage: fd-shared-offset [options] FILE\n"
	"Opens FILE read-only and forks. The parent reads some characters, then the child reads as many: it goes on where\n"
	"the parent stopped.\n"
	"\n"
	"  --count N    how many characters each reads (29, at most 128)\n"
	"  --reopen     contrast: the child opens FILE again after the fork, and starts at the beginning\n"
	"  --no-stop    do not stop after each phase\n"
	"\n"
	"Phases, each a line after which the process stops until SIGCONT:\n"
	"  'opened FD' (parent stops), 'forked PID', 'child ready FD' (child stops),\n"
	"  'parent read TEXT' (parent stops), 'child read TEXT' (child stops),\n"
	"  'child set NONBLOCK', 'child write: EBADF' (after asking for O_RDWR by F_SETFL; child stops, then ends),\n"
	"  'parent flags NONBLOCK' or 'parent flags none'\n"
	"The parent reads as soon as it is woken after 'opened'; the child waits, stopped, until the plan wakes it.\n"
	"Exit status: 0 done, 64 usage error, 71 the kernel refused.\n";

static long count = 29;
static bool no_stop;

static void phase_ends(void)
{
	if (!no_stop)
		stop_here();
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		refused("open");
	return fd;
}

static void read_some(const char *who, int fd)
{
	char text[129];
	ssize_t got = read(fd, text, (size_t)count);

	if (got < 0)
		refused("read");
	for (ssize_t i = 0; i < got; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '.';
	text[got] = '\0';
	say("%s read %s", who, text);
	phase_ends();
}

/* A status flag set through one descriptor; the access mode, which F_SETFL ignores, stays as open(2) made it. */
static void change_flags(int fd)
{
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK))
		refused("fcntl");
	say("child set %s", fcntl(fd, F_GETFL) & O_NONBLOCK ? "NONBLOCK" : "none");
	if (write(fd, "x", 1) < 0)
		say("child write: %s", strerrorname_np(errno));
	else
		say("child write: done");
	phase_ends();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'n' }, { "reopen", no_argument, NULL, 'r' },
		{ "no-stop", no_argument, NULL, 'x' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	bool reopen = false;
	int option, fd;
	pid_t pid;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'n': count = number_of("--count", optarg, 1, 128); break;
		case 'r': reopen = true; break;
		case 'x': no_stop = true; break;
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("fd-shared-offset takes no such option");
		}
	}
	if (optind != argc - 1)
		usage_error("fd-shared-offset needs one FILE");
	take_role("parent");
	fd = open_file(argv[optind]);
	say("opened %d", fd);
	phase_ends();
	if (no_stop) {
		/* Nothing orders the two processes, so the parent reads before it forks. */
		read_some("parent", fd);
	}
	pid = fork();
	if (pid < 0)
		refused("fork");
	if (pid == 0) {
		take_role("child");
		if (reopen)
			fd = open_file(argv[optind]);
		say("child ready %d", fd);
		phase_ends();
		read_some("child", fd);
		change_flags(fd);
		_exit(0);
	}
	say("forked %d", pid);
	if (!no_stop)
		read_some("parent", fd);
	if (waitpid(pid, NULL, 0) < 0)
		refused("waitpid");
	say("parent flags %s", fcntl(fd, F_GETFL) & O_NONBLOCK ? "NONBLOCK" : "none");
	return 0;
}

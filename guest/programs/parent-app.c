// SPDX-License-Identifier: MIT
/*
 * parent-app: reads changes from its standard input and counts the signals that announce them. It does not know what
 * its standard input is, nor who writes to it.
 */
#include <getopt.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "phases.h"

static const char help[] =
	"usage: parent-app\n"
	"Reads lines from standard input until its end. Counts SIGRTMIN and SIGUSR1.\n"
	"\n"
	"Lines: 'reading KIND' (pipe, socket, file), 'got LINE' each, at the end 'changes N' and 'signals N', and\n"
	"'child exited CODE' or 'child killed SIGNAL'.\n"
	"Exit status: 0 done, 64 usage error, 71 the kernel refused.\n";

static long changes, signals;

static void count_signals(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) > 0)
		signals++;
}

static void take_lines(char *text, size_t *length)
{
	char *newline;

	while ((newline = memchr(text, '\n', *length))) {
		*newline = '\0';
		say("got %s", text);
		changes++;
		*length -= (size_t)(newline + 1 - text);
		memmove(text, newline + 1, *length);
	}
}

static const char *kind_of_input(void)
{
	struct stat st;

	if (fstat(STDIN_FILENO, &st))
		refused("fstat");
	return S_ISFIFO(st.st_mode) ? "pipe" : S_ISSOCK(st.st_mode) ? "socket" : "file";
}

int main(int argc, char **argv)
{
	char text[4096];
	size_t length = 0;
	sigset_t set;
	int notices, status;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(help, stdout) < 0;
	if (argc != 1)
		usage_error("parent-app takes no arguments");
	take_role("parent_app");
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	notices = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (notices < 0)
		refused("signalfd");
	say("reading %s", kind_of_input());
	for (;;) {
		struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = notices, .events = POLLIN } };
		ssize_t got;

		if (poll(fds, 2, -1) < 0)
			refused("poll");
		count_signals(notices);
		if (!fds[0].revents)
			continue;
		got = read(STDIN_FILENO, text + length, sizeof(text) - length);
		if (got < 0)
			refused("read");
		if (got == 0)
			break;
		length += (size_t)got;
		take_lines(text, &length);
		if (length == sizeof(text))
			length = 0;	/* full without a newline: discard it, no change is that long */
	}
	if (waitpid(-1, &status, 0) > 0) {
		if (WIFSIGNALED(status))
			say("child killed %s", sigabbrev_np(WTERMSIG(status)));
		else
			say("child exited %d", WEXITSTATUS(status));
	}
	count_signals(notices);
	say("changes %ld", changes);
	say("signals %ld", signals);
	return 0;
}

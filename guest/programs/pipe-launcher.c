// SPDX-License-Identifier: MIT
/*
 * pipe-launcher: connects two programs that know nothing of each other. child-app writes to its standard output,
 * parent-app reads from its standard input. Only this program knows that a pipe, or a socket, is between them.
 */
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "phases.h"

static const char help[] =
	"usage: pipe-launcher [options] [-- ARGUMENTS OF child-app]\n"
	"Makes a transport, forks, and executes child-app in the child and parent-app in the parent.\n"
	"\n"
	"  --transport HOW   pipe (default), socketpair, or unix (a named socket: bind, listen, connect, accept)\n"
	"  --parent PATH     parent-app (beside this program)\n"
	"  --child PATH      child-app (beside this program)\n"
	"\n"
	"Lines: 'transport HOW', 'forked PID', then those of parent-app. child-app is told by environment variable\n"
	"NOTIFY_PID whom to signal.\n"
	"Exit status: that of parent-app; 64 usage error, 71 the kernel refused.\n";

static char parent_path[PATH_MAX], child_path[PATH_MAX];

static void beside_us(char *path, const char *name)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		refused("readlink");
	self[length] = '\0';
	if (snprintf(path, PATH_MAX, "%s/%s", dirname(self), name) >= PATH_MAX)
		usage_error("the path of %s is too long", name);
}

/* ends[0] is the end to read from, ends[1] the end to write to. */
static void make_unix(int ends[2])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/pipe-launcher.%d", getpid());
	unlink(address.sun_path);
	ends[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || ends[1] < 0)
		refused("socket");
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)))
		refused("bind");
	if (listen(listener, 1))
		refused("listen");
	if (connect(ends[1], (struct sockaddr *)&address, sizeof(address)))
		refused("connect");
	ends[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (ends[0] < 0)
		refused("accept");
	unlink(address.sun_path);
	close(listener);
}

static void make_transport(const char *how, int ends[2])
{
	if (strcmp(how, "pipe") == 0) {
		if (pipe2(ends, O_CLOEXEC))
			refused("pipe");
	} else if (strcmp(how, "socketpair") == 0) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
			refused("socketpair");
	} else if (strcmp(how, "unix") == 0) {
		make_unix(ends);
	} else {
		usage_error("--transport: '%s' is none of pipe, socketpair, unix", how);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "transport", required_argument, NULL, 't' }, { "parent", required_argument, NULL, 'p' },
		{ "child", required_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	const char *transport = "pipe";
	char notify[16];
	sigset_t notices, before;
	int option, ends[2];
	pid_t pid;

	beside_us(parent_path, "parent-app");
	beside_us(child_path, "child-app");
	while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		switch (option) {
		case 't': transport = optarg; break;
		case 'p': snprintf(parent_path, sizeof(parent_path), "%s", optarg); break;
		case 'c': snprintf(child_path, sizeof(child_path), "%s", optarg); break;
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("pipe-launcher takes no such option");
		}
	}
	make_transport(transport, ends);
	/* child-app may signal before parent-app has its handler. A blocked signal stays pending across execve. */
	sigemptyset(&notices);
	sigaddset(&notices, SIGRTMIN);
	sigaddset(&notices, SIGUSR1);
	sigprocmask(SIG_BLOCK, &notices, &before);
	say("transport %s", transport);
	snprintf(notify, sizeof(notify), "%d", getpid());
	setenv("NOTIFY_PID", notify, 1);
	pid = fork();
	if (pid < 0)
		refused("fork");
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		argv[optind - 1] = child_path;	/* argv[0], in front of the program's own arguments */
		if (dup2(ends[1], STDOUT_FILENO) < 0)
			_exit(EXIT_REFUSED);
		execv(child_path, argv + optind - 1);
		dprintf(STDERR_FILENO, "%s: %s\n", child_path, strerrorname_np(errno));
		_exit(EXIT_REFUSED);
	}
	say("forked %d", pid);
	if (dup2(ends[0], STDIN_FILENO) < 0)
		refused("dup2");
	execl(parent_path, parent_path, (char *)NULL);
	refused(parent_path);
}

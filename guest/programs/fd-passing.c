// SPDX-License-Identifier: MIT
/*
 * fd-passing: a file that was opened after the fork goes to the child over a unix domain socket (SCM_RIGHTS). What
 * arrives is not a number but the open file description itself, under a number of the receiver's own.
 */
#include <fcntl.h>
#include <getopt.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "phases.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438	/* arch/x86/entry/syscalls/syscall_64.tbl, since Linux 5.6 */
#endif

static const char help[] =
	"usage: fd-passing [options] FILE\n"
	"Forks; then the parent opens FILE, reads one character, and sends the descriptor to the child.\n"
	"\n"
	"  --pidfd      send the number, with which the child fetches the descriptor itself (pidfd_getfd, Linux 5.6)\n"
	"  --number     contrast: send the number instead of the descriptor; in the child it means nothing\n"
	"  --no-stop    do not stop after each phase\n"
	"\n"
	"Phases, each a line after which the process stops until SIGCONT:\n"
	"  'forked PID', 'child ready' (child stops), 'parent sent FD' (parent stops), 'child got FD' (child stops),\n"
	"  'child read C' or 'child read: EBADF' (the child ends), 'parent read C'\n"
	"Exit status: 0 done, 64 usage error, 71 the kernel refused.\n";

static bool no_stop, by_pidfd;

static void phase_ends(void)
{
	if (!no_stop)
		stop_here();
}

/* A message of one int; the descriptor travels beside it as ancillary data (unix(7), cmsg(3)). */
static void send_descriptor(int sock, int fd, bool only_number)
{
	union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = { 0 };
	struct iovec data = { .iov_base = &fd, .iov_len = sizeof(fd) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (!only_number) {
		struct cmsghdr *header;

		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	if (sendmsg(sock, &message, 0) < 0)
		refused("sendmsg");
}

static int receive_descriptor(int sock)
{
	union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
	int fd = -1;
	struct iovec data = { .iov_base = &fd, .iov_len = sizeof(fd) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.room,
				  .msg_controllen = sizeof(control.room) };
	struct cmsghdr *header;

	switch (recvmsg(sock, &message, 0)) {
	case -1: refused("recvmsg");
	case 0: _exit(0);	/* end of file: the parent has exited, and has printed why */
	}
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static void read_one(const char *who, int fd)
{
	char c;
	ssize_t got = read(fd, &c, 1);

	if (got < 0)
		say("%s read: %s", who, strerrorname_np(errno));
	else
		say("%s read %c", who, got ? c : '-');
}

/* Like ptrace's attach this takes the right to look into the other process. Return the descriptor, which is 10. */
static int fetch_descriptor(pid_t from, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, from, 0), own;

	if (pidfd < 0)
		refused("pidfd_open");
	own = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (own < 0)
		refused("pidfd_getfd");
	dup2(own, 10);
	close(own);
	if (pidfd != 10)
		close(pidfd);
	return 10;
}

static void child(int sock)
{
	int fd;

	take_role("child");
	/* Give the child other descriptor numbers than the parent's, so that equal numbers cannot mislead. */
	while ((fd = dup(sock)) >= 0 && fd < 20)
		;
	for (fd = 10; fd < 20; fd++)
		close(fd);
	say("child ready");
	phase_ends();
	fd = receive_descriptor(sock);
	if (by_pidfd)
		fd = fetch_descriptor(getppid(), fd);
	say("child got %d", fd);
	phase_ends();
	read_one("child", fd);
	_exit(0);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "number", no_argument, NULL, 'n' }, { "pidfd", no_argument, NULL, 'p' }, { "no-stop", no_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	bool only_number = false;
	int option, fd, pair[2];
	pid_t pid;
	char c;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'n': only_number = true; break;
		case 'p': by_pidfd = true; break;
		case 'x': no_stop = true; break;
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("fd-passing takes no such option");
		}
	}
	if (optind != argc - 1)
		usage_error("fd-passing needs one FILE");
	take_role("parent");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		refused("socketpair");
	pid = fork();
	if (pid < 0)
		refused("fork");
	if (pid == 0) {
		close(pair[0]);
		child(pair[1]);
	}
	say("forked %d", pid);
	close(pair[1]);
	fd = open(argv[optind], O_RDONLY);
	if (fd < 0)
		refused("open");
	if (only_number && !by_pidfd)
		fd = dup2(fd, 100);	/* a number that the child does not use */
	if (read(fd, &c, 1) < 0)
		refused("read");
	send_descriptor(pair[0], fd, only_number || by_pidfd);
	say("parent sent %d", fd);
	phase_ends();
	if (waitpid(pid, NULL, 0) < 0)
		refused("waitpid");
	read_one("parent", fd);
	return 0;
}

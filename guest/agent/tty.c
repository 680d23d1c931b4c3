// SPDX-License-Identifier: MIT
/* A pseudoterminal for a program: the agent reads the master, the program has the slave as its terminal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "agent.h"

/*
 * Open a pseudoterminal and write the slave's path. Returns the master, or -1 with errno. The slave does not turn \n
 * into \r\n (ONLCR), so that output reads as it does through a pipe. Nobody types: a program that reads its terminal
 * gets end-of-file, from the one Ctrl-D that is written here.
 */
int open_terminal(char *slave, size_t size)
{
	const struct winsize window = { .ws_row = 24, .ws_col = 80 };
	int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), unlock = 0, number, err;
	struct termios modes;

	if (master < 0)
		return -1;
	/* These ioctls on the master act on the slave's modes and size (pty_unix98_ioctl() of drivers/tty/pty.c). */
	if (ioctl(master, TIOCSPTLCK, &unlock) == 0 && ioctl(master, TIOCGPTN, &number) == 0 &&
	    tcgetattr(master, &modes) == 0) {
		modes.c_oflag &= ~(tcflag_t)ONLCR;
		modes.c_lflag &= ~(tcflag_t)(ECHO | ECHOCTL);
		if (tcsetattr(master, TCSANOW, &modes) == 0 && ioctl(master, TIOCSWINSZ, &window) == 0 &&
		    write(master, "\004", 1) == 1) {
			snprintf(slave, size, "/dev/pts/%d", number);
			return master;
		}
	}
	err = errno;
	close(master);
	errno = err;
	return -1;
}

// SPDX-License-Identifier: MIT
/* The board that a check and its holders share, and how they wait for each other. */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "board.h"
#include "holders.h"

struct board *board;

void give_pid(pid_t pid)
{
	board->pid = pid;
}

pid_t given_pid(void)
{
	return board->pid;
}

int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

void open_board(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, NULL))
		refused("sigprocmask");
	board = (struct board *)map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS);
	board->check = getpid();
}

bool wait_for_holders(int64_t deadline)
{
	int64_t left = deadline - now();
	struct timespec most = { left / 1000000000, left % 1000000000 };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (left > 0)
		sigtimedwait(&child, NULL, &most);
	return left > 0;
}

void now_ready(void)
{
	__atomic_add_fetch(&board->ready, 1, __ATOMIC_SEQ_CST);
	kill(board->check, SIGCHLD);
}

void raise_flag(volatile int *flag)
{
	*flag = 1;
	syscall(SYS_futex, flag, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void wait_for_flag(volatile int *flag)
{
	while (!*flag)
		syscall(SYS_futex, flag, FUTEX_WAIT, 0, NULL, NULL, 0);
}

void go_on(void)
{
	raise_flag(&board->go);
}

void wait_to_go_on(void)
{
	wait_for_flag(&board->go);
}

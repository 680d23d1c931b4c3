/* SPDX-License-Identifier: MIT */
/*
 * What a check and its holders share. They wait for each other in the kernel: under TCG each look at a flag in between
 * would cost as much as some ten page faults, because it switches the address space twice.
 */
#ifndef RIG_VERIFY_BOARD_H
#define RIG_VERIFY_BOARD_H

#include "verify.h"

/* The eater stops when a process has been killed. */
struct board {
	volatile int stop;
	volatile int ready;
	volatile long eaten;
	volatile pid_t pid;
	volatile int go;
	pid_t check;
};

extern struct board *board;

/* Make the board, in the check. */
void open_board(void);

/* Return the monotonic clock, in ns. */
int64_t now(void);

/* In the check: wait until a process has ended or a holder is ready, at most until `deadline`. False: it has passed. */
bool wait_for_holders(int64_t deadline);

#endif

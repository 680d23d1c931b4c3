// SPDX-License-Identifier: MIT
/*
 * What the guest's sources take from glibc and musl has not: included ahead of each file where musl is the C library
 * (-include). The numbers are those of x86 Linux (include/uapi/asm-generic/errno-base.h and errno.h).
 */
#pragma once
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The names that the system calls of agent and programs can fail with; NULL for another number, as glibc has it. */
static inline const char *strerrorname_np(int number)
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
#define NAME(e) { e, #e }
		NAME(EPERM), NAME(ENOENT), NAME(ESRCH), NAME(EINTR), NAME(EIO), NAME(ENXIO), NAME(E2BIG),
		NAME(ENOEXEC), NAME(EBADF), NAME(ECHILD), NAME(EAGAIN), NAME(ENOMEM), NAME(EACCES), NAME(EFAULT),
		NAME(ENOTBLK), NAME(EBUSY), NAME(EEXIST), NAME(EXDEV), NAME(ENODEV), NAME(ENOTDIR), NAME(EISDIR),
		NAME(EINVAL), NAME(ENFILE), NAME(EMFILE), NAME(ENOTTY), NAME(ETXTBSY), NAME(EFBIG), NAME(ENOSPC),
		NAME(ESPIPE), NAME(EROFS), NAME(EMLINK), NAME(EPIPE), NAME(EDOM), NAME(ERANGE), NAME(EDEADLK),
		NAME(ENAMETOOLONG), NAME(ENOSYS), NAME(ENOTEMPTY), NAME(ELOOP), NAME(ENODATA), NAME(ETIME),
		NAME(EPROTO), NAME(EOVERFLOW), NAME(EBADFD), NAME(ENOTSOCK), NAME(EMSGSIZE), NAME(EOPNOTSUPP),
		NAME(EADDRINUSE), NAME(EADDRNOTAVAIL), NAME(ENETDOWN), NAME(ENOBUFS), NAME(ETIMEDOUT),
		NAME(ECONNREFUSED), NAME(EALREADY), NAME(EINPROGRESS), NAME(EHWPOISON),
#undef NAME
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == number)
			return names[i].name;
	return NULL;
}

static inline const char *strerrordesc_np(int number)
{
	return strerror(number);
}

/* Without SIG, as in KILL; NULL for a number that is none of these, real-time ones among them, as glibc has it. */
static inline const char *sigabbrev_np(int number)
{
	static const char *const names[] = {
#define NAME(s) [SIG##s] = #s
		NAME(HUP), NAME(INT), NAME(QUIT), NAME(ILL), NAME(TRAP), NAME(ABRT), NAME(BUS), NAME(FPE),
		NAME(KILL), NAME(USR1), NAME(SEGV), NAME(USR2), NAME(PIPE), NAME(ALRM), NAME(TERM), NAME(STKFLT),
		NAME(CHLD), NAME(CONT), NAME(STOP), NAME(TSTP), NAME(TTIN), NAME(TTOU), NAME(URG), NAME(XCPU),
		NAME(XFSZ), NAME(VTALRM), NAME(PROF), NAME(WINCH), NAME(POLL), NAME(PWR), NAME(SYS),
#undef NAME
	};

	return number > 0 && (size_t)number < sizeof(names) / sizeof(names[0]) ? names[number] : NULL;
}

/*
 * musl's malloc has no settings. It maps each block of 128 KiB and more for itself, with a header in front
 * (MMAP_THRESHOLD in src/malloc/mallocng/meta.h), which is what M_MMAP_THRESHOLD asks of glibc's. But a static program
 * that never frees is linked with another malloc, which puts one block after the other and has no headers
 * (src/malloc/lite_malloc.c): naming free() brings the whole one.
 */
#define M_MMAP_THRESHOLD (-3)
static inline int mallopt(int option, int value)
{
	void (*volatile whole)(void *) = free;

	(void)whole;
	(void)option;
	(void)value;
	return 0;
}

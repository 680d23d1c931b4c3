// SPDX-License-Identifier: MIT
/*
 * What the guest's sources take from glibc and musl has not: included ahead of each file where musl is the C library
 * (-include). The numbers are those of x86 Linux (include/uapi/asm-generic/errno-base.h and errno.h).
 */
#pragma once
#include <errno.h>
#include <stddef.h>
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

// SPDX-License-Identifier: MIT
/* Read the kernel's numbers of memory, sysctls and mappings, and set sysctls. */
#include <sys/swap.h>

#include "verify.h"

static char file_text[256 * 1024];

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
	needs(name, set_vm(name, condition(name) ? value : otherwise), ENOENT);
	tell("%s=%ld", name, get_vm(name));
}

void require_vm(const char *name, long value)
{
	needs(name, set_vm(name, value), ENOENT);
	if (get_vm(name) != value)
		broken("%s-is-%ld-and-not-%ld", name, get_vm(name), value);
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
		needs("meminfo", slurp("/proc/meminfo") ? 0 : errno, ENOENT);
		tell("na=no-%s-in-meminfo", key);
		_exit(0);
	}
	return value;
}

const char *find_swap(void)
{
	static char path[128];
	char *text = slurp("/proc/swaps"), *line = text ? strchr(text, '\n') : NULL;

	return line && sscanf(line, "%127s", path) == 1 ? path : NULL;
}

const char *swap_device(void)
{
	const char *path = find_swap();

	if (!path)
		not_applicable(ENODEV);
	return path;
}

static char swapped_off[128];

void swap_off(void)
{
	snprintf(swapped_off, sizeof(swapped_off), "%s", swap_device());
	needs("swapoff", swapoff(swapped_off) ? errno : 0, ENOSYS);
}

void swap_on(void)
{
	needs("swapon", swapon(swapped_off, 0) ? errno : 0, ENOSYS);
}

long committed(void)
{
	return meminfo("Committed_AS");
}

char *map(long bytes, int prot, int flags)
{
	char *at = mmap(NULL, (size_t)bytes, prot, flags, -1, 0);

	if (at == MAP_FAILED)
		broken("mmap-%s", strerrorname_np(errno));
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

long accounted(void)
{
	char *line = slurp("/proc/self/smaps"), *end;
	long size = 0, sum = 0;

	for (; line && *line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (strncmp(line, "Size:", 5) == 0)
			size = strtol(line + 5, NULL, 10);
		else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " ac"))
			sum += size;
	}
	return sum;
}

long vm_size(void)
{
	return number_in("/proc/self/status", "VmSize");
}

int try_map(long bytes, int prot, int flags)
{
	void *at = mmap(NULL, (size_t)bytes, prot, flags, -1, 0);

	if (at == MAP_FAILED)
		return errno;
	munmap(at, (size_t)bytes);
	return 0;
}

long largest(long high_kb)
{
	long low = 0, high = high_kb / 4 + 1;

	while (high - low > 1) {
		long middle = low + (high - low) / 2;

		if (try_map(middle * PAGE, RW, ANON) == 0)
			low = middle;
		else
			high = middle;
	}
	return low * 4;
}

void strict(void)
{
	require_vm("overcommit_ratio", 80);
	require_vm("user_reserve_kbytes", 0);
	require_vm("admin_reserve_kbytes", 0);
	given_vm("overcommit_memory", 2, 0);
}

int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return errno;
	waitpid(pid, NULL, 0);
	return 0;
}

void as_nobody(bool nobody, void (*measure)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (nobody && (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
			_exit(EXIT_REFUSED);
		measure();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		refused("fork");
}

// SPDX-License-Identifier: MIT
/* coverer: mounts texts of its own over the kernel's files, or takes /proc away, and does what they hide. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "phases.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		refused(path);
	close(fd);
}

static void cover(const char *path, const char *text)
{
	write_file("/tmp/cover", text);
	if (mount("/tmp/cover", path, NULL, MS_BIND, NULL))
		refused("mount");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "nothing";
	char path[64];

	take_role("coverer");
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", getpid());
	if (strcmp(what, "sysctl") == 0) {
		write_file("/proc/sys/vm/swappiness", "60");
		cover("/proc/sys/vm/swappiness", "10\n");
	} else if (strcmp(what, "all-of-proc") == 0) {
		write_file("/proc/sys/vm/swappiness", "60");
		if (umount2("/proc", MNT_DETACH))
			refused("umount2");
	} else if (strcmp(what, "smaps") == 0) {
		cover(path, "00400000-7fff00000000 ---p 00000000 00:00 0 [rollup]\n"
			    "Rss: 41000 kB\nPss: 41000 kB\nPss_Anon: 41000 kB\nPss_Shmem: 0 kB\nLazyFree: 0 kB\nSwapPss: 0 kB\n");
	} else if (strcmp(what, "memory-events") == 0) {
		cover("/sys/fs/cgroup/tiny/memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 3\n");
	} else if (strcmp(what, "all-of-sys") == 0) {
		cover("/sys/fs/cgroup/tiny/memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 3\n");
		if (mount("/sys/fs/cgroup", "/mnt", NULL, MS_BIND | MS_REC, NULL) ||
		    mount("empty", "/sys", "tmpfs", 0, NULL) || mkdir("/sys/fs", 0755) || mkdir("/sys/fs/cgroup", 0755) ||
		    mount("/mnt", "/sys/fs/cgroup", NULL, MS_MOVE, NULL))
			refused("mount");
	}
	if (strcmp(what, "debugfs") == 0 && mount("debug", "/sys/kernel/debug", "debugfs", 0, NULL))
		refused("mount");
	if (strcmp(what, "no-debugfs") == 0) {
		if (mount("mine", "/sys/kernel/debug", "tmpfs", 0, NULL))
			refused("mount");
		write_file("/sys/kernel/debug/fault_around_bytes", "65536\n");
	}
	say("done");
	stop_here();
	return 0;
}

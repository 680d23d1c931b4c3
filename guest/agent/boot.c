// SPDX-License-Identifier: MIT
/* From the kernel's first process to a guest that is ready: modules, root filesystem, the port, and a small footprint. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

bool root_is_pmem1;	/* the payload is the other one */
static char root_text[64];	/* "ext4 on /dev/pmem0" */
static bool root_dax;

static void say_on_console(const char *what, int err)
{
	char line[256];
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	snprintf(line, sizeof(line), "<3>rig-agent: %s: %s %s\n", what, strerrorname_np(err) ?: "?",
		 strerrordesc_np(err) ?: "");
	if (fd < 0)
		fd = STDERR_FILENO;
	if (write(fd, line, strlen(line)) < 0)
		return;
}

void power_off(void)
{
	const char *how = cmdline("rig.off");

	port_drain(5 * NSEC);
	/* A kernel without ACPI can only halt when asked to power off; with -no-reboot QEMU ends on a reset too. */
	reboot(how && strcmp(how, "reboot") == 0 ? RB_AUTOBOOT : RB_POWER_OFF);
	for (;;)
		pause();
}

void die(const char *what)
{
	say_on_console(what, errno);
	power_off();
}

/* The value of KEY=value on the kernel's command line, or NULL. */
const char *cmdline(const char *key)
{
	static char text[4096], value[256];
	size_t length = strlen(key);

	if (!text[0] && slurp("/proc/cmdline", text, sizeof(text)) <= 0)
		return NULL;
	for (const char *at = text; (at = strstr(at, key)); at += length) {
		size_t span;

		if ((at != text && at[-1] != ' ') || at[length] != '=')
			continue;
		span = strcspn(at + length + 1, " \n");
		if (span >= sizeof(value))
			return NULL;
		memcpy(value, at + length + 1, span);
		value[span] = '\0';
		return value;
	}
	return NULL;
}

static void mount_kernel_filesystems(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	/* /dev first, so that the rest can be told on /dev/kmsg; a kernel may have mounted it itself (EBUSY). */
	if (mount("dev", "/dev", "devtmpfs", MS_NOSUID, NULL) && errno != EBUSY)
		die("mount of /dev");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		die("mount of /proc");
	if (mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		die("mount of /sys");
}

/* The kernel opens /dev/console for init only where the initramfs holds that node. */
static void open_standard_files(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd < 3)
		;
	if (fd > 2)
		close(fd);
}

int load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), status, err;

	if (fd < 0)
		return -1;
	status = (int)syscall(SYS_finit_module, fd, "", 0);
	err = errno;
	close(fd);
	errno = err;
	return status && err != EEXIST ? -1 : 0;
}

/* /modules/order: a path a line, relative to /modules unless absolute; `-` in front: it may fail. */
static void load_modules(void)
{
	static char text[16 * 1024];
	char path[PATH_BYTES], what[PATH_BYTES + 32], *save;

	if (slurp("/modules/order", text, sizeof(text)) < 0) {
		if (errno == ENOENT)
			return;		/* all is built in */
		die("/modules/order");
	}
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		bool optional = *line == '-';

		snprintf(path, sizeof(path), "%s%s", line[optional] == '/' ? "" : "/modules/", line + optional);
		if (load_module(path) && !optional) {
			snprintf(what, sizeof(what), "module %s", path);
			die(what);
		}
	}
}

/*
 * /modules/optional: `name: path path path` a line, what a module needs before itself, all relative to /modules. Loads
 * that line's modules. ENOENT when there is no such line.
 */
int load_optional(const char *name)
{
	static char text[16 * 1024];
	char path[PATH_BYTES], *save, *word_save;

	if (slurp("/modules/optional", text, sizeof(text)) < 0)
		return -1;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');

		if (!colon)
			continue;
		*colon = '\0';
		if (strcmp(line, name) != 0)
			continue;
		for (char *file = strtok_r(colon + 1, " ", &word_save); file; file = strtok_r(NULL, " ", &word_save)) {
			snprintf(path, sizeof(path), "%s%s", *file == '/' ? "" : "/modules/", file);
			if (load_module(path))
				return -1;
		}
		return 0;
	}
	errno = ENOENT;
	return -1;
}

static void load_asked(void)
{
	const char *asked = cmdline("rig.modules");
	char names[256], what[300], *save;

	if (!asked)
		return;
	copy_name(names, sizeof(names), asked);
	for (char *name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save))
		if (load_optional(name)) {
			snprintf(what, sizeof(what), "module %s of rig.modules", name);
			die(what);
		}
}

/* Drivers probe on their own time. */
bool wait_for_device(const char *path, int64_t ns)
{
	const struct timespec pause = { .tv_nsec = NSEC / 100 };
	int64_t until = now_ns() + ns;

	while (access(path, F_OK)) {
		if (now_ns() >= until) {
			errno = ENODEV;
			return false;
		}
		nanosleep(&pause, NULL);
	}
	return true;
}

static bool copy_file(const char *from, const char *to)
{
	static char buf[16 * 1024];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t got = -1;

	while (in >= 0 && out >= 0 && (got = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)got) != got) {
			got = -1;
			break;
		}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return got == 0;
}

/* Optional modules outlive the initramfs in the tmpfs above the root. */
static void keep_optional_modules(const char *folder)
{
	static char text[16 * 1024];
	char from[PATH_BYTES], to[PATH_BYTES], *save, *word_save;

	if (slurp("/modules/optional", text, sizeof(text)) < 0)
		return;
	mkdir(folder, 0755);
	snprintf(to, sizeof(to), "%s/optional", folder);
	if (!copy_file("/modules/optional", to))
		die("copy of /modules/optional");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':'), *slash;

		for (char *file = colon ? strtok_r(colon + 1, " ", &word_save) : NULL; file;
		     file = strtok_r(NULL, " ", &word_save)) {
			snprintf(from, sizeof(from), "/modules/%s", file);
			snprintf(to, sizeof(to), "%s/%s", folder, file);
			slash = strrchr(to, '/');
			*slash = '\0';
			make_dirs(to);
			*slash = '/';
			if (access(to, F_OK) && !copy_file(from, to))
				die(from);
		}
	}
}

/* Frees the initramfs: all files of that filesystem, none of what is mounted on it. */
static void empty_folder(int folder, dev_t device)
{
	char buf[2048] __attribute__((aligned(8)));
	long got;

	while ((got = syscall(SYS_getdents64, folder, buf, sizeof(buf))) > 0)
		for (long at = 0; at < got;) {
			const char *name = buf + at + 19;	/* struct linux_dirent64 */
			uint16_t length;
			struct stat st;
			int below;

			memcpy(&length, buf + at + 16, sizeof(length));
			at += length;
			if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
				continue;
			if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) || st.st_dev != device)
				continue;
			if (!S_ISDIR(st.st_mode)) {
				unlinkat(folder, name, 0);
				continue;
			}
			below = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (below >= 0) {
				empty_folder(below, device);
				close(below);
			}
			unlinkat(folder, name, AT_REMOVEDIR);
		}
}

/*
 * "hsqs" at 0: squashfs; at 1024 is the superblock of erofs (fs/erofs/erofs_fs.h) and of ext4, which has its magic 56
 * bytes further (fs/ext4/ext4.h). NULL: none of them.
 */
const char *filesystem_on(int fd)
{
	static char block[4096] __attribute__((aligned(4096)));
	static const unsigned char erofs[] = { 0xe2, 0xe1, 0xf5, 0xe0 }, ext4[] = { 0x53, 0xef };

	if (pread(fd, block, sizeof(block), 0) != sizeof(block))
		return NULL;
	if (memcmp(block, "hsqs", 4) == 0)
		return "squashfs";
	if (memcmp(block + 1024, erofs, sizeof(erofs)) == 0)
		return "erofs";
	if (memcmp(block + 1024 + 56, ext4, sizeof(ext4)) == 0)
		return "ext4";
	return NULL;
}

/*
 * QEMU numbers NVDIMMs in an order of its own, so what is on them tells root and payload apart: at boot the payload
 * is still empty.
 */
static const char *pmem_with_filesystem(void)
{
	static const char *const devices[] = { "/dev/pmem0", "/dev/pmem1" };

	for (int i = 0; i < 2; i++) {
		int fd = open(devices[i], O_RDONLY | O_CLOEXEC);
		bool found = fd >= 0 && filesystem_on(fd);

		if (fd >= 0)
			close(fd);
		if (found)
			return devices[i];
	}
	return NULL;
}

static const char *root_device(void)
{
	const char *asked = cmdline("rig.root");
	int64_t until = now_ns() + 10 * NSEC;
	bool pmem = !asked || strcmp(asked, "pmem") == 0, vda = !asked || strcmp(asked, "vda") == 0;

	while (now_ns() < until) {
		if (pmem && wait_for_device("/dev/pmem0", NSEC / 100) && pmem_with_filesystem())
			return pmem_with_filesystem();
		if (vda && wait_for_device("/dev/vda", NSEC / 100))
			return "/dev/vda";
	}
	return NULL;
}

/*
 * With DAX a program's text is executed where it lies in the NVDIMM: it takes no page cache, and so none of it can be
 * reclaimed when the guest runs short. Without it that reclaim is the experiment: a process whose text was evicted must
 * read it again, squashfs allocates for that with GFP_NOIO, and such an allocation loops without ever invoking the OOM
 * killer (__alloc_pages_may_oom() of mm/page_alloc.c).
 */
bool mount_image(const char *device, const char *where, const char *type, unsigned long flags)
{
	if (strcmp(type, "squashfs") != 0 && strncmp(device, "/dev/pmem", 9) == 0 &&
	    mount(device, where, type, MS_RDONLY | flags, "dax=always") == 0)
		return true;
	return mount(device, where, type, MS_RDONLY | flags, NULL) == 0;
}

/* Is the filesystem's DAX in force? The kernel's word (STATX_ATTR_DAX), not ours. */
bool has_dax(const char *file)
{
	struct statx st;

	return statx(AT_FDCWD, file, 0, STATX_BASIC_STATS, &st) == 0 && (st.stx_attributes & STATX_ATTR_DAX);
}

static void mount_root(void)
{
	const char *device = root_device(), *type;
	int fd;

	if (!device) {
		errno = ENODEV;
		die("no squashfs or erofs on any root device");
	}
	fd = open(device, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(device);
	type = filesystem_on(fd);
	close(fd);
	if (!type) {
		errno = EINVAL;
		die("neither ext4, erofs nor squashfs on the root device");
	}
	make_dirs("/rig/lower");
	make_dirs("/rig/rw");
	make_dirs("/rig/new");
	if (!mount_image(device, "/rig/lower", type, 0))
		die("mount of the root filesystem");
	if (mount("rw", "/rig/rw", "tmpfs", 0, "mode=0755,size=50%"))
		die("mount of a tmpfs");
	mkdir("/rig/rw/upper", 0755);
	mkdir("/rig/rw/work", 0755);
	keep_optional_modules("/rig/rw/upper/modules");
	if (mount("root", "/rig/new", "overlay", 0, "lowerdir=/rig/lower,upperdir=/rig/rw/upper,workdir=/rig/rw/work"))
		die("mount of the overlay");
	snprintf(root_text, sizeof(root_text), "%s on %s", type, device);
	root_is_pmem1 = strcmp(device, "/dev/pmem1") == 0;
	root_dax = has_dax("/rig/lower/bin/busybox");
}

static void carry_over(const char *from, const char *to)
{
	mkdir(to, 0755);
	if (mount(from, to, NULL, MS_MOVE, NULL))
		die(to);
}

static void enter_root(void)
{
	int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	carry_over("/dev", "/rig/new/dev");
	carry_over("/proc", "/rig/new/proc");
	carry_over("/sys", "/rig/new/sys");
	if (chdir("/rig/new") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("move to the root filesystem");
	if (old >= 0 && fstat(old, &st) == 0)
		empty_folder(old, st.st_dev);
	if (old >= 0)
		close(old);
}

/* What programs may expect of a root filesystem that was only unpacked. */
static void furnish_root(void)
{
	mkdir("/run", 0755);
	make_dirs("/run/rig");
	mkdir("/payload", 0755);
	mkdir("/root", 0700);
	mkdir("/tmp", 01777);
	chmod("/tmp", 01777);
	mkdir("/dev/pts", 0755);
	mkdir("/dev/shm", 01777);
	mount("pts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666");
	mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	symlink("/proc/self/fd", "/dev/fd");
	mkdir("/bin", 0755);
	if (access("/bin/sh", X_OK))
		symlink("busybox", "/bin/sh");
}

static void mount_cgroups(void)
{
	static const char *const controllers[] = { "+memory", "+pids", "+cpuset", "+cpu" };

	if (mount("cgroup", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return;		/* a step that needs it will say so */
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		spill("/sys/fs/cgroup/cgroup.subtree_control", controllers[i]);
}

/* The port named rig.events, whatever number the bus gave it. */
static void open_port(void)
{
	char path[64], name[64];
	const struct timespec pause = { .tv_nsec = NSEC / 100 };
	int64_t until = now_ns() + 10 * NSEC;

	while (now_ns() < until) {
		for (int i = 0; i < 4 * 32; i++) {
			int fd;

			snprintf(path, sizeof(path), "/sys/class/virtio-ports/vport%dp%d/name", i / 32, i % 32);
			if (slurp(path, name, sizeof(name)) <= 0)
				continue;
			trim(name);
			if (strcmp(name, "rig.events") != 0)
				continue;
			snprintf(path, sizeof(path), "/dev/vport%dp%d", i / 32, i % 32);
			fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
			if (fd < 0)
				die(path);
			port_set(fd, false);
			return;
		}
		nanosleep(&pause, NULL);
	}
	errno = ENODEV;
	die("virtio port rig.events");
}

/*
 * First in line for the processor and for the last pages (a real-time task may dip into the reserve: gfp_to_alloc_flags()
 * of mm/page_alloc.c), so that looking at an exhausted guest does not itself invoke the OOM killer.
 */
static void put_first(void)
{
	const struct sched_param first = { .sched_priority = 1 };
	const struct rlimit files = { 4096, 4096 };

	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");
	if (spill("/proc/self/oom_score_adj", "-1000"))
		die("oom_score_adj");
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first))
		die("sched_setscheduler");
	setrlimit(RLIMIT_NOFILE, &files);
}

void say_memory(void)
{
	static char text[4096];
	int64_t kb = 0;

	slurp("/proc/meminfo", text, sizeof(text));
	field_kb(text, "MemTotal:", &kb);
	rec_int("mem_total_kb", kb);
	field_kb(text, "MemFree:", &kb);
	rec_int("mem_free_kb", kb);
	field_kb(text, "MemAvailable:", &kb);
	rec_int("mem_available_kb", kb);
}

static void say_ready(void)
{
	struct utsname name;

	uname(&name);
	sync();
	spill("/proc/sys/vm/drop_caches", "3");
	rec_begin("ready");
	rec_str("agent", AGENT_VERSION);
	rec_str("kernel", name.release);
	say_memory();
	rec_int("agent_rss_kb", own_rss_kb());
	rec_int("page_size", sysconf(_SC_PAGESIZE));
	rec_int("cpus", sysconf(_SC_NPROCESSORS_ONLN));
	rec_str("root", root_text);
	rec_bool("dax", root_dax);
	rec_end();
}

void boot(void)
{
	mount_kernel_filesystems();
	open_standard_files();
	load_modules();
	mount_root();
	enter_root();
	furnish_root();
	load_asked();
	mount_cgroups();
	open_port();
	put_first();
	loop_open();
	kmsg_open();
	shell_start();
	say_ready();
}

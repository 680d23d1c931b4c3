// SPDX-License-Identifier: MIT
/* The boot as PID 1, from exec of /init to READY: modules, root filesystem, the port, and a small footprint. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

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
	/* Without ACPI the kernel can only halt on a power-off request. QEMU with -no-reboot exits on a reset too. */
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
	/* /dev first, so that later failures can be logged to /dev/kmsg. EBUSY: the kernel has mounted it already. */
	if (mount("dev", "/dev", "devtmpfs", MS_NOSUID, NULL) && errno != EBUSY)
		die("mount of /dev");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		die("mount of /proc");
	if (mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		die("mount of /sys");
}

/* The kernel opens /dev/console for init only if the initramfs contains that device node. */
static void open_standard_files(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd < 3)
		;
	if (fd > 2)
		close(fd);
}

/* Complete a root filesystem that was only unpacked and never booted: programs expect these files and directories. */
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
	if (symlink("/proc/self/fd", "/dev/fd") && errno != EEXIST)
		say_on_console("/dev/fd", errno);
	mkdir("/bin", 0755);
	if (access("/bin/sh", X_OK) && symlink("busybox", "/bin/sh"))
		say_on_console("/bin/sh", errno);
}

/* Find the virtio-serial port by its name, rig.events: the device number depends on the order on the bus. */
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
 * Take ttyS0 off once the kernel prints on hvc0: both would have every line from then on, at the speed of ttyS0. That is
 * possible since 5.7 (console_store() of drivers/tty/serial/serial_core.c); before, and without hvc0, ttyS0 stays.
 */
static void choose_console(void)
{
	const char *asked = cmdline("rig.console");
	const struct timespec pause = { .tv_nsec = NSEC / 100 };
	int64_t until = now_ns() + 5 * NSEC;
	char text[1024];

	if (!asked || strcmp(asked, "hvc0") != 0)
		return;
	while (now_ns() < until) {
		const char *found;

		if (slurp("/proc/consoles", text, sizeof(text)) <= 0)
			break;
		/* "hvc0 -W- (EC p  ) 229:0": enabled */
		found = strstr(text, "hvc0 ");
		if (found && strncmp(found + strcspn(found, "(\n"), "(E", 2) == 0) {
			if (spill("/sys/class/tty/ttyS0/console", "N"))
				say_on_console("ttyS0/console", errno);
			return;
		}
		nanosleep(&pause, NULL);
	}
	say_on_console("hvc0", ENODEV);
}

/*
 * A program with the agent's user and group ids may lower this limit with prlimit(2) (check_prlimit_permission() of
 * kernel/sys.c). Then open(2) fails with EMFILE and ppoll(2) with EINVAL (do_sys_poll() of fs/select.c), and the agent
 * sets the limit again.
 */
void allow_files(void)
{
	const struct rlimit files = { 4096, 4096 };

	setrlimit(RLIMIT_NOFILE, &files);
}

/*
 * A real-time task runs before all others and may allocate from the reserve below the min watermark
 * (gfp_to_alloc_flags() of mm/page_alloc.c). So observing an exhausted guest does not itself invoke the OOM killer.
 */
static void put_first(void)
{
	const struct sched_param first = { .sched_priority = 1 };

	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");
	if (spill("/proc/self/oom_score_adj", "-1000"))
		die("oom_score_adj");
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first))
		die("sched_setscheduler");
	allow_files();
	/*
	 * The agent's records are the evidence. A process that is not dumpable cannot be ptraced, and its memory and
	 * descriptors cannot be opened through /proc (ptrace_may_access() of kernel/ptrace.c).
	 */
	if (prctl(PR_SET_DUMPABLE, 0))
		die("prctl(PR_SET_DUMPABLE)");
}

/*
 * Whether the kernel reports a panic to QEMU: drivers/misc/pvpanic/pvpanic-mmio.c, before 5.13
 * drivers/misc/pvpanic.c.
 */
bool has_pvpanic(void)
{
	return file_exists("/sys/bus/acpi/devices/QEMU0001:00/physical_node/driver") ||
	       file_exists("/sys/bus/acpi/devices/QEMU0001:00/driver");
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

/* How much memory and swap there is: a program may turn swap off, or take a block of memory offline. */
void say_totals(void)
{
	char text[4096];
	int64_t memory = 0, swap = 0;

	if (slurp("/proc/meminfo", text, sizeof(text)) <= 0)
		return;
	field_kb(text, "MemTotal:", &memory);
	field_kb(text, "SwapTotal:", &swap);
	rec_int("mem_total_kb", memory);
	rec_int("swap_total_kb", swap);
}

static void say_ready(void)
{
	struct utsname name;

	uname(&name);
	rec_begin("ready");
	rec_str("agent", AGENT_VERSION);
	rec_str("kernel", name.release);
	say_sysctls();
	sync();
	spill("/proc/sys/vm/drop_caches", "3");
	say_memory();
	rec_int("agent_rss_kb", own_rss_kb());
	rec_int("page_size", sysconf(_SC_PAGESIZE));
	rec_int("cpus", sysconf(_SC_NPROCESSORS_ONLN));
	rec_str("root", root_filesystem);
	rec_bool("dax", root_has_dax);
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
	take_own_mounts();
	prepare_counts();
	open_port();
	choose_console();
	put_first();
	loop_open();
	kmsg_open();
	ends_open();
	shell_start();
	say_ready();
}

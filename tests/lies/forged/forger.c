// SPDX-License-Identifier: MIT
/* forger: makes up a report of the kernel's where it is told to, and does by itself what the report says. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/io.h>
#include <sys/wait.h>
#include <time.h>

#include "phases.h"

enum { CONSOLE_OFF = 6 };	/* SYSLOG_ACTION_CONSOLE_OFF of syslog(2) */

static const char *where;
static bool early;	/* the time that is printed is of the boot */
static long late;	/* milliseconds that are added to it */

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...)
{
	char text[512], line[640];
	struct timespec now;
	va_list args;
	int fd;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (early)
		now.tv_sec = 0;
	now.tv_sec += (now.tv_nsec / 1000000 + late) / 1000;
	now.tv_nsec = (now.tv_nsec + late * 1000000) % 1000000000;
	if (strncmp(where, "/dev/kmsg", 9) == 0)
		snprintf(line, sizeof(line), "<%d>%s\n", 4, text);
	else
		snprintf(line, sizeof(line), "[%5ld.%06ld] %s\r\n", (long)now.tv_sec, now.tv_nsec / 1000, text);
	fd = open(where, O_WRONLY | O_NOCTTY);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		refused(where);
	close(fd);
}

static void copy_file(const char *from, const char *to)
{
	static char part[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	ssize_t got;

	if (in < 0 || out < 0)
		refused(to);
	while ((got = read(in, part, sizeof(part))) > 0)
		if (write(out, part, (size_t)got) != got)
			refused(to);
	close(in);
	close(out);
}

static pid_t pid_of(const char *comm)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while ((entry = readdir(proc))) {
		char path[300], name[32] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		if (read(fd, name, sizeof(name) - 1) > 0)
			name[strcspn(name, "\n")] = '\0';
		close(fd);
		if (strcmp(name, comm) == 0)
			return atoi(entry->d_name);
	}
	return 0;
}

static void forge_oom(pid_t victim, pid_t said)
{
	static const char *const frames[] = {
		"dump_stack_lvl+0x44/0x5c", "dump_header+0x4a/0x211", "oom_kill_process.cold+0xb/0x10",
		"out_of_memory+0x1f1/0x520", "__alloc_pages_slowpath.constprop.0+0xcbd/0xe10", "__alloc_pages+0x224/0x250",
		"__folio_alloc+0x1b/0x50", "vma_alloc_folio+0xa0/0x360", "wp_page_copy+0x112/0x5d0",
		"__handle_mm_fault+0x92f/0xfa0", "handle_mm_fault+0xdf/0x2d0", "do_user_addr_fault+0x1be/0x6a0",
		"exc_page_fault+0x74/0x170", "asm_exc_page_fault+0x26/0x30",
	};

	put("forger invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0");
	put("CPU: 0 PID: %d Comm: forger Not tainted 6.1.0-50-cloud-amd64 #1  Debian 6.1.176-1", getpid());
	put("Call Trace:");
	put(" <TASK>");
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		put(" %s", frames[i]);
	put("RIP: 0033:0x401b2f");
	put(" </TASK>");
	put("Mem-Info:");
	put("active_anon:0 inactive_anon:110000 isolated_anon:0");
	put("Tasks state (memory values in pages):");
	put("[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name");
	put("[%7d]     0 %5d    51900    51350   471040        0             0 hog", said, said);
	put("oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=hog,"
	    "pid=%d,uid=0", said);
	put("Out of memory: Killed process %d (hog) total-vm:207600kB, anon-rss:204800kB, file-rss:500kB, shmem-rss:0kB, "
	    "UID:0 pgtables:460kB oom_score_adj:0", said);
	if (victim)
		kill(victim, SIGKILL);
}

static void forge_panic(void)
{
	put("Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled");
	put("CPU: 0 PID: %d Comm: forger Not tainted 6.1.0-50-cloud-amd64 #1  Debian 6.1.176-1", getpid());
	put("Call Trace:");
	put(" panic+0x2b0/0x2f0");
	put("---[ end Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled ]---");
}

static void forge_oops(void)
{
	put("BUG: kernel NULL pointer dereference, address: 0000000000000008");
	put("#PF: supervisor read access in kernel mode");
	put("#PF: error_code(0x0000) - not-present page");
	put("Oops: 0000 [#1] PREEMPT SMP NOPTI");
	put("CPU: 0 PID: %d Comm: forger Not tainted 6.1.0-50-cloud-amd64 #1  Debian 6.1.176-1", getpid());
	put("RIP: 0010:wp_page_copy+0x10/0x700");
	put("Call Trace:");
	put(" <TASK>");
	put(" __handle_mm_fault+0x97b/0xfa0");
	put(" exc_page_fault+0x70/0x170");
	put(" </TASK>");
	put("---[ end trace 0000000000000000 ]---");
}

static void forge_hung(pid_t hog)
{
	put("INFO: task hog:%d blocked for more than 120 seconds.", hog);
	put("      Not tainted 6.1.0-50-cloud-amd64 #1 Debian 6.1.176-1");
	put("\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.");
	put("task:hog             state:D stack:0     pid:%d    ppid:1      flags:0x00000000", hog);
	put("Call Trace:");
	put(" <TASK>");
	put(" __schedule+0x34d/0x9e0");
	put(" schedule+0x5a/0xd0");
	put(" jbd2_log_wait_commit+0xe4/0x160");
	put(" ext4_sync_file+0x1a5/0x340");
	put(" </TASK>");
}

/* Print the kernel's own report, which the console does not show, with one more frame in its trace. */
static void print_body(void)
{
	char record[8192], *text;
	int from = open("/dev/kmsg", O_RDONLY);
	bool inside = false, written = false;
	ssize_t got;

	where = "/dev/ttyS0";
	while ((got = read(from, record, sizeof(record) - 1)) > 0) {
		record[got] = '\0';
		text = strchr(record, ';') + 1;
		text[strcspn(text, "\n")] = '\0';
		inside = inside || strstr(text, " invoked oom-killer:");
		if (!inside)
			continue;
		if (!written && strstr(text, "handle_mm_fault")) {
			put(" wp_page_copy+0x112/0x5d0");
			written = true;
		}
		put("%s", text);
		if (strstr(text, "Killed process"))
			return;
	}
}

static void say_attack(const char *what, long result)
{
	say("attack %s %s", what, result < 0 ? strerrorname_np(errno) : "succeeded");
}

/* What would let it write the agent's records, or pvpanic's port. */
static void attack(void)
{
	char path[64];
	int agent, covered = -1;

	say_attack("mem", open("/proc/1/mem", O_RDWR));
	say_attack("ptrace", ptrace(PTRACE_SEIZE, 1, NULL, NULL));
	agent = (int)syscall(SYS_pidfd_open, 1, 0);
	for (int fd = 3; fd < 64; fd++)
		if (syscall(SYS_pidfd_getfd, agent, fd, 0) >= 0) {
			say_attack("getfd", 0);
			break;
		}
	for (int fd = 3; fd < 64 && covered < 0; fd++) {
		snprintf(path, sizeof(path), "/proc/1/fd/%d/vmstat", fd);
		covered = mount("/dev/null", path, NULL, MS_BIND, NULL);
	}
	say_attack("mount", covered);
	say_attack("namespace", open("/proc/1/ns/mnt", O_RDONLY));
	say_attack("root", open("/proc/1/root", O_PATH));
	say_attack("ports", iopl(3));
	say_attack("port", ioperm(0x505, 1, 1));
	say_attack("module", syscall(SYS_init_module, "", 0, ""));
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "/dev/vport%dp1", i);
		if (access(path, F_OK) == 0)
			say_attack("channel", open(path, O_WRONLY | O_NONBLOCK));
	}
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		refused(path);
	close(fd);
}

/* Take the agent's port from it, and end the run with a record that the agent would have written. */
static void take_port(const char *number)
{
	const char *driver = "/sys/bus/virtio/drivers/virtio_console";
	DIR *devices = opendir(driver);
	struct dirent *entry;
	char path[300], line[256];
	int fd = -1;

	while ((entry = readdir(devices)) && strncmp(entry->d_name, "virtio", 6) != 0)
		;
	snprintf(path, sizeof(path), "%s/unbind", driver);
	write_file(path, entry->d_name);
	snprintf(path, sizeof(path), "%s/bind", driver);
	write_file(path, entry->d_name);
	for (int i = 0; i < 1000 && fd < 0; i++) {
		snprintf(path, sizeof(path), "/dev/vport%dp%d", i / 4 % 16, i % 4);
		fd = open(path, O_WRONLY);
		usleep(1000);
	}
	snprintf(line, sizeof(line), "{\"n\":%s,\"t\":99.0,\"ev\":\"end\",\"dropped\":0,\"reason\":\"forged\",\"step\":4}\n", number);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		refused(path);
	sleep(1);
	reboot(RB_POWER_OFF);
}

/* The kernel prints the name of a program's file when it crashes, and a name may have lines (print_vma_addr()). */
static void crash_as(const char *name)
{
	char path[300];
	int status;

	snprintf(path, sizeof(path), "/tmp/%s", name);
	copy_file("/proc/self/exe", path);
	if (fork() == 0) {
		execl(path, "forger", "/dev/kmsg", "crash", NULL);
		_exit(1);
	}
	wait(&status);
}

static void forge_hung_by_name(pid_t hog)
{
	char name[256];

	snprintf(name, sizeof(name), "x\nINFO: task hog:%d blocked for more than 120 seconds.\n"
		 "task:hog             state:D stack:0     pid:%d    ppid:1      flags:0x00000000\nCall Trace:\n <TASK>\n"
		 " schedule+0x5a0xd0", hog, hog);
	crash_as(name);
}

static void silence(void)
{
	int fd = open("/sys/module/printk/parameters/ignore_loglevel", O_WRONLY);

	if (fd < 0 || write(fd, "N", 1) != 1)
		refused("ignore_loglevel");
	if (klogctl(CONSOLE_OFF, NULL, 0))
		refused("klogctl");
}

/* Nobody is to see that the kernel counts a kill: /proc/vmstat stays as it is now. */
static void cover_vmstat(void)
{
	char text[16384];
	int from = open("/proc/vmstat", O_RDONLY), to = open("/tmp/vmstat", O_WRONLY | O_CREAT, 0644);
	ssize_t got;

	while ((got = read(from, text, sizeof(text))) > 0)
		if (write(to, text, (size_t)got) != got)
			refused("/tmp/vmstat");
	close(to);
	if (mount("/tmp/vmstat", "/proc/vmstat", NULL, MS_BIND, NULL))
		refused("mount");
}

/* A report with a time between the plan's end and what looks like the power-off, which the console does not show. */
static void forge_late(pid_t hog)
{
	silence();
	write_file("/sys/class/tty/ttyS0/console", "N");	/* the kernel tells of the power-off whatever is set */
	late = 1500;
	forge_oom(hog, hog);
	late = 3000;
	put("reboot: Power down");
}

/* The kernel's panic is another one, and no console shows it: what the port shows is all of this program's. */
static void take_console(void)
{
	write_file("/sys/class/tty/ttyS0/console", "N");
	forge_panic();
	write_file("/proc/sysrq-trigger", "c");
}

/* The kernel lists its tasks: more lines than an agent would relay of a run without a fault. */
static void flood(void)
{
	write_file("/proc/sysrq-trigger", "t");
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "oom";
	pid_t hog = pid_of("hog");

	take_role("forger");
	where = argc > 1 ? argv[1] : "/dev/console";
	for (int i = argc > 4 ? atoi(argv[4]) : 0; i > 0; i--)
		flood();
	if (strcmp(what, "oom") == 0)
		forge_oom(hog, hog);
	else if (strcmp(what, "other-pid") == 0)
		forge_oom(0, hog);
	else if (strcmp(what, "panic") == 0)
		forge_panic();
	else if (strcmp(what, "panic-off") == 0) {
		forge_panic();
		sync();
		sleep(1);
		reboot(RB_POWER_OFF);
	} else if (strcmp(what, "panic-twice") == 0) {
		int fd = open("/proc/sysrq-trigger", O_WRONLY);

		forge_panic();
		if (write(fd, "c", 1) < 0)
			refused("sysrq-trigger");
	} else if (strcmp(what, "blind") == 0) {
		silence();
		cover_vmstat();
	} else if (strcmp(what, "body") == 0) {
		silence();
		if (fork() == 0) {
			print_body();
			_exit(0);
		}
	} else if (strcmp(what, "port") == 0)
		take_port(argc > 3 ? argv[3] : "0");
	else if (strcmp(what, "oops") == 0)
		forge_oops();
	else if (strcmp(what, "hung") == 0)
		forge_hung(hog);
	else if (strcmp(what, "early-hung") == 0) {
		early = true;
		forge_hung(hog);
	}
	else if (strcmp(what, "by-name") == 0)
		forge_hung_by_name(hog);
	else if (strcmp(what, "crash") == 0)
		*(volatile char *)strtoul("8", NULL, 10) = 1;
	else if (strcmp(what, "late") == 0)
		forge_late(hog);
	else if (strcmp(what, "takes") == 0)
		take_console();
	else if (strcmp(what, "sysrq") == 0)
		write_file("/proc/sysrq-trigger", "f");
	else if (strcmp(what, "instead") == 0) {
		silence();
		forge_oom(hog, hog);
	}
	else if (strcmp(what, "attack") == 0)
		attack();
	else if (strcmp(what, "silence") == 0)
		silence();
	say("done");
	return 0;
}

// SPDX-License-Identifier: MIT
/* leaver: its children crash where nobody looks, or where something else seems to explain it. */
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "phases.h"

static void crash(void)
{
	prctl(PR_SET_NAME, "kid");
	raise(SIGSEGV);
}

static pid_t child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		refused("fork");
	if (pid == 0)
		prctl(PR_SET_NAME, "kid");
	return pid;
}

static void idle(void)
{
	for (;;)
		pause();
}

/* The child's child has a session of its own, and its parent is gone: it is no member of the program for the agent. */
static void daemonize(void)
{
	if (child() == 0) {
		setsid();
		if (fork() == 0) {
			usleep(10000);
			crash();
		}
		_exit(0);
	}
	wait(NULL);
}

/* Its parent is the agent itself from the start (CLONE_PARENT), and it has a session of its own. */
static void sibling(void)
{
	if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL) == 0) {
		setsid();
		usleep(10000);
		crash();
	}
}

/* In a PID namespace of its own, where it is 2. */
static void in_namespace(void)
{
	if (unshare(CLONE_NEWPID))
		refused("unshare");
	if (child() == 0) {
		if (child() == 0) {
			usleep(10000);
			crash();
		}
		wait(NULL);
		idle();
	}
}

static void *crash_later(void *unused)
{
	(void)unused;
	usleep(100000);
	crash();
	return NULL;
}

static void *become_another(void *unused)
{
	(void)unused;
	usleep(10000);
	execl("/proc/self/exe", "leaver", "crash", NULL);
	return NULL;
}

/* The thread that goes on is not the process's first, which has ended, or which execve(2) ends. */
static void by_a_thread(void *(*go_on)(void *), bool leader_ends)
{
	pthread_t thread;

	if (child() != 0)
		return;
	if (pthread_create(&thread, NULL, go_on, NULL))
		refused("pthread_create");
	if (leader_ends)
		pthread_exit(NULL);
	idle();
}

/* Its parent waits for it in vfork(2), and goes on when it has crashed. */
static void by_vfork(void)
{
	if (child() == 0) {
		if (vfork() == 0)
			crash();
		idle();
	}
}

static void crowd(void)
{
	for (int i = 0; i < 200; i++)
		if (child() == 0) {
			if (i == 180)
				usleep(500000);
			i == 180 ? crash() : idle();
		}
	while (wait(NULL) > 0)
		;
}

/* Tell the kernel that somebody listens to the events of processes, or does not (cn_proc_mcast_ctl() of cn_proc.c). */
static void control_events(enum proc_cn_mcast_op op, int times)
{
	struct __attribute__((packed)) {
		struct nlmsghdr header;
		struct cn_msg cn;
		enum proc_cn_mcast_op op;
	} message = { .header = { .nlmsg_len = sizeof(message), .nlmsg_type = NLMSG_DONE },
		      .cn = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .len = sizeof(message.op) }, .op = op };
	static int fd = -1;

	if (fd < 0)
		fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_CONNECTOR);
	while (times-- > 0)
		if (send(fd, &message, sizeof(message), 0) < 0)
			refused("send");
}

/* Before 6.6 each message counts, whoever sends it. */
static void deafen(void)
{
	control_events(PROC_CN_MCAST_LISTEN, 1);
	control_events(PROC_CN_MCAST_IGNORE, 100);
}

/* Both stop until the plan has looked; then it kills the first, and the second dies by the same signal of its own. */
static void twins(void)
{
	if (child() == 0) {
		prctl(PR_SET_NAME, "first");
		idle();
	}
	if (child() == 0) {
		sleep(3);
		raise(SIGKILL);
	}
}

static void take_memory(void)
{
	for (size_t size = 0; size < 64 << 20; size += 4096)
		if (!memset(malloc(4096), 1, 4096))
			_exit(0);
}

/* The first takes more than its cgroup may have; the second dies by SIGKILL, as if the OOM killer had named it. */
static void after_oom(void)
{
	if (child() == 0) {
		prctl(PR_SET_NAME, "hog");
		sleep(1);
		take_memory();
	}
	if (child() == 0) {
		sleep(3);
		raise(SIGKILL);
	}
}

static int share(void *unused)
{
	(void)unused;
	idle();
	return 0;
}

/* Two processes with one address space, which takes more than the cgroup may have: both are killed, one is named. */
static void take_together(void)
{
	static char stack[64 * 1024];

	if (child() == 0) {
		prctl(PR_SET_NAME, "hog");
		if (clone(share, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) < 0)
			refused("clone");
		sleep(1);
		take_memory();
	}
}

static void storm(void)
{
	for (int i = 0; i < 1100; i++)
		if (fork() == 0)
			_exit(1);
		else
			wait(NULL);
}

/* More children live at once than the agent has ever followed, and all of them fail. */
static void throng(void)
{
	sigset_t wake, none;

	sigemptyset(&none);
	sigemptyset(&wake);
	sigaddset(&wake, SIGUSR2);
	sigprocmask(SIG_BLOCK, &wake, NULL);
	for (int i = 0; i < 2200; i++)
		if (child() == 0) {
			sigsuspend(&none);
			_exit(1);
		}
	kill(0, SIGUSR2);
	while (wait(NULL) > 0)
		;
}

static void wake(int signal)
{
	(void)signal;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "nothing";

	take_role("leaver");
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, wake);
	if (strcmp(how, "shared") == 0) {
		take_together();
	} else if (strcmp(how, "storm") == 0) {
		storm();
	} else if (strcmp(how, "throng") == 0) {
		throng();
	} else if (strcmp(how, "listens") == 0) {
		control_events(PROC_CN_MCAST_LISTEN, 1);
		control_events(PROC_CN_MCAST_IGNORE, 1);
	} else if (strcmp(how, "reaped") == 0 || strcmp(how, "deaf") == 0) {
		if (strcmp(how, "deaf") == 0)
			deafen();
		if (child() == 0)
			crash();
		wait(NULL);
	} else if (strcmp(how, "ignored") == 0) {
		signal(SIGCHLD, SIG_IGN);
		if (child() == 0)
			crash();
	} else if (strcmp(how, "daemon") == 0) {
		daemonize();
	} else if (strcmp(how, "sibling") == 0) {
		sibling();
	} else if (strcmp(how, "namespace") == 0) {
		in_namespace();
	} else if (strcmp(how, "leaderless") == 0) {
		by_a_thread(crash_later, true);
	} else if (strcmp(how, "thread-exec") == 0) {
		by_a_thread(become_another, false);
	} else if (strcmp(how, "crash") == 0) {
		crash();
	} else if (strcmp(how, "vfork") == 0) {
		by_vfork();
	} else if (strcmp(how, "crowd") == 0) {
		if (fork() == 0)
			crowd();
	} else if (strcmp(how, "signalled") == 0) {
		if (child() == 0) {
			sleep(3);
			crash();
		}
	} else if (strcmp(how, "twin") == 0) {
		twins();
	} else if (strcmp(how, "oom") == 0) {
		after_oom();
	} else if (strcmp(how, "awaited") == 0) {
		sleep(3);
		raise(SIGSEGV);
	}
	usleep(100000);
	say("ready");
	idle();
}

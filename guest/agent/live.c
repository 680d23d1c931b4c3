// SPDX-License-Identifier: MIT
/* A live guest: the host logs in by SSH, pushes the run's payload and starts the plan. The user may have a shell. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#define HOST_KEY "/run/rig/host_key"

static pid_t shell_pid;

/* Start the shell on the console again whenever its user leaves it. */
void shell_start(void)
{
	static const char *const argv[] = { "/bin/busybox", "sh", NULL };
	const char *asked = cmdline("rig.shell");

	if (asked && strcmp(asked, "1") == 0 && wait_for_device("/dev/hvc0", 10 * NSEC))
		shell_pid = start_helper(argv, -1, "/dev/hvc0");
}

void shell_ended(pid_t pid)
{
	if (pid == shell_pid)
		shell_start();
}

static void if_up(int sock, const char *name, const char *address, int prefix)
{
	struct ifreq request = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;

	copy_name(request.ifr_name, sizeof(request.ifr_name), name);
	in->sin_family = AF_INET;
	if (inet_pton(AF_INET, address, &in->sin_addr) != 1) {
		errno = EINVAL;
		die("rig.ip");
	}
	if (ioctl(sock, SIOCSIFADDR, &request))
		die("address of the network interface");
	in->sin_addr.s_addr = htonl(prefix ? ~0U << (32 - prefix) : 0);
	if (ioctl(sock, SIOCSIFNETMASK, &request))
		die("netmask of the network interface");
	if (ioctl(sock, SIOCGIFFLAGS, &request))
		die("flags of the network interface");
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	if (ioctl(sock, SIOCSIFFLAGS, &request))
		die("network interface");
}

static void network_up(void)
{
	char address[64], name[IF_NAMESIZE] = "", *slash;
	const char *asked = cmdline("rig.ip");
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), prefix = 24;
	int64_t until = now_ns() + 10 * NSEC;

	if (sock < 0)
		die("socket");
	copy_name(address, sizeof(address), asked ? asked : "10.0.2.15/24");
	slash = strchr(address, '/');
	if (slash) {
		*slash = '\0';
		prefix = atoi(slash + 1);
	}
	if_up(sock, "lo", "127.0.0.1", 8);
	/* The first interface that is not lo. Its driver may still be probing, so try again. */
	while (!name[0]) {
		for (unsigned int i = 1; i < 16 && !name[0]; i++)
			if (!if_indextoname(i, name) || strcmp(name, "lo") == 0)
				name[0] = '\0';
		if (!name[0] && now_ns() > until) {
			errno = ENODEV;
			die("network interface");
		}
		if (!name[0])
			usleep(10000);
	}
	if_up(sock, name, address, prefix);
	close(sock);
}

static void put_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void let_root_in(void)
{
	static char keys[16 * 1024];
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/authorized_keys", payload_dir);
	if (slurp(path, keys, sizeof(keys)) < 0)
		die("the payload holds neither a plan nor authorized_keys");
	mkdir("/root/.ssh", 0700);
	put_file("/root/.ssh/authorized_keys", keys, 0600);
	mkdir("/etc", 0755);
	if (access("/etc/passwd", F_OK))
		put_file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0644);
	if (access("/etc/group", F_OK))
		put_file("/etc/group", "root:x:0:\n", 0644);
}

/* Run a program until it exits, and collect its output. */
static char *output_of(const char *const argv[])
{
	static char text[4096];
	size_t length = 0;
	int out[2];
	ssize_t got;

	if (pipe2(out, O_CLOEXEC) || start_helper(argv, out[1], NULL) < 0)
		die(argv[0]);
	close(out[1]);
	while (length < sizeof(text) - 1 &&
	       ((got = read(out[0], text + length, sizeof(text) - 1 - length)) > 0 || (got < 0 && errno == EINTR)))
		length += got > 0 ? (size_t)got : 0;
	close(out[0]);
	text[length] = '\0';
	return text;
}

static bool is_openssh(void)
{
	return access("/usr/sbin/dropbear", X_OK) && access("/usr/sbin/sshd", X_OK) == 0;
}

/* Return the public key: dropbearkey prints it, ssh-keygen writes it to a file. */
static const char *make_host_key(void)
{
	static const char *const dropbear[] = { "/usr/bin/dropbearkey", "-t", "ed25519", "-f", HOST_KEY, NULL };
	static const char *const openssh[] = { "/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", HOST_KEY,
					       NULL };
	static char file[4096];
	char *key;

	key = output_of(is_openssh() ? openssh : dropbear);
	if (is_openssh()) {
		if (slurp(HOST_KEY ".pub", file, sizeof(file)) < 0)
			die("ssh-keygen gave no key");
		key = file;
	}
	key = strstr(key, "ssh-ed25519 ");
	if (!key) {
		errno = EIO;
		die("there is no host key");
	}
	key[strcspn(key, "\n")] = '\0';
	return key;
}

/* The server's arguments: run in the foreground, log to stderr, no passwords, no forwarding. */
static void start_ssh_server(void)
{
	static const char *const dropbear[] = { "/usr/sbin/dropbear", "-F", "-E", "-s", "-j", "-k", "-r", HOST_KEY,
						"-P", "/run/rig/dropbear.pid", "-p", "22", NULL };
	static const char *const openssh[] = {
		"/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", HOST_KEY, "-p", "22", "-o", "PidFile=none",
		"-o", "PasswordAuthentication=no", "-o", "KbdInteractiveAuthentication=no", "-o", "DisableForwarding=yes",
		"-o", "Subsystem=sftp internal-sftp", NULL
	};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* The privilege separation directory of Debian's sshd: it does not start without it. */
	if (is_openssh())
		make_dirs("/run/sshd");
	if (start_helper(is_openssh() ? openssh : dropbear, null, NULL) < 0)
		die("SSH server");
	close(null);
}

/*
 * The wall clock of a restored guest stands where its snapshot was saved, which may be months ago: certificates are then
 * not valid yet, and make finds files that are newer than now. The host puts its own time into the payload, nanoseconds
 * since the epoch.
 */
static void set_wall_clock(void)
{
	char path[PATH_BYTES], text[32], *end;
	struct timespec now;
	long long ns;

	snprintf(path, sizeof(path), "%s/wall_clock", payload_dir);
	if (slurp(path, text, sizeof(text)) < 0)
		return;
	errno = 0;
	ns = strtoll(text, &end, 10);
	if (errno || end == text || ns < 0) {
		errno = EINVAL;
		die("wall_clock of the payload");
	}
	now.tv_sec = ns / NSEC;
	now.tv_nsec = ns % NSEC;
	if (clock_settime(CLOCK_REALTIME, &now))
		die("wall clock");
}

void go_live(void)
{
	const char *key;

	set_wall_clock();

	/* A filesystem of its own: overlayfs refuses a layer that lies below another layer of the same filesystem. */
	if (make_dirs("/run/rig/payload") || mount("payload", "/run/rig/payload", "tmpfs", MS_NODEV, "mode=0755,size=50%"))
		die("mount of the payload's tmpfs");
	network_up();
	let_root_in();
	key = make_host_key();
	start_ssh_server();
	rec_begin("ssh");
	rec_str("host_key", key);
	rec_end();
	while (access("/run/rig/go", F_OK))
		loop_once(now_ns() + NSEC / 20);
	payload_dir = "/run/rig/payload";
}

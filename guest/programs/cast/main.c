// SPDX-License-Identifier: MIT
/*
 * cast: the processes of an OOM report. One process an actor, under the name, user, oom_score_adj and cgroup of the task
 * that it stands for, each holding memory of the kinds that it is told. One of them then asks for memory in a given way
 * until the kernel has none left.
 *
 * All actors are children of one director, because the agent watches few programs but any number of their processes.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "cast.h"

static const char help[] =
	"usage: cast [--disk FILE] [--short-free-lists] ACTOR...\n"
	"Starts the actors one after another; each takes its memory and keeps it. Then it stops; after SIGCONT the actor\n"
	"with a trigger asks for memory until there is none.\n"
	"\n"
	"ACTOR is one argument with words separated by blanks; comm is the last one and may hold blanks:\n"
	"  uid=N adj=N cgroup=PATH   user, oom_score_adj, cgroup below the root\n"
	"  anon=SIZE                 anonymous memory, every page written\n"
	"  swapped=SIZE              anonymous memory that is written and paged out at once (MADV_PAGEOUT, Linux 5.4)\n"
	"  locked=SIZE               anonymous memory that is locked (mlock)\n"
	"  shmem=SIZE                shared memory: the first SIZE of a memfd that all actors have open\n"
	"  mapped=SIZE               the first SIZE of that shared memory, mapped and touched\n"
	"  tables=SIZE               page tables: the zero page, mapped once in each 2 MB\n"
	"  slab=SIZE                 unreclaimable slab: messages in a System V queue (kmalloc-4k)\n"
	"  pipes=SIZE                pages in pipes, which no counter of an OOM report shows\n"
	"  cache=SIZE                page cache: the disk's first SIZE, read\n"
	"  file=SIZE                 the disk's first SIZE, mapped and touched\n"
	"  shared=SIZE own=SIZE forks=N child=NAME\n"
	"                            a family: SIZE is shared with N forked children, of which each has `own` besides.\n"
	"                            With child=NAME the last of them is called NAME and has the trigger\n"
	"  trigger=KIND order=N      anonymous, copy-on-write, file-read, shared, page-table, fork, pipe, slab, network or\n"
	"                            swap-in; with slab, an allocation of 2^order pages\n"
	"  comm=NAME\n"
	"\n"
	"  --disk FILE               a block device, for cache, file and trigger=file-read\n"
	"  --short-free-lists        set vm.percpu_pagelist_high_fraction, for a guest with little memory\n"
	"\n"
	"Lines: 'held COMM KIND BYTES', 'lost COMM' (killed while it took its memory), 'all hold' (then it stops), and at\n"
	"its first step 'triggers COMM KIND'. Exit status: 64 usage error, 71 the kernel refused something.\n";

static void start(const struct actor *actor, int go)
{
	int done[2];
	char byte;
	pid_t pid;

	if (pipe(done))
		refused("pipe");
	pid = fork();
	if (pid < 0)
		refused("fork");
	if (pid == 0) {
		close(done[0]);
		act(actor, done[1], go);
	}
	close(done[1]);
	if (read(done[0], &byte, 1) != 1)
		say("lost %s", actor->comm);
	close(done[0]);
}

/*
 * Since 6.7 a CPU's lists of free pages may grow to an eighth of a zone (pcp->high_max, commit 90b41691b988). In a small
 * guest that is more than its watermarks. What they took from one zone is then missing there while another is balanced,
 * and who asks for the last page sleeps in throttle_direct_reclaim() (mm/vmscan.c) for good. This is the shortest that
 * they can be: zone_highsize() grants four batches. Kernels before 5.14 have neither such lists nor the file.
 */
static void shorten_free_lists(void)
{
	int fd = open("/proc/sys/vm/percpu_pagelist_high_fraction", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1000000", 7) != 7)
		refused("percpu_pagelist_high_fraction");
	close(fd);
}

int main(int argc, char **argv)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY }, files = { 1 << 19, 1 << 19 };
	static struct actor actors[512];
	int first = 1, count = 0, go[2];
	bool short_lists;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return fputs(help, stdout), 0;
	if (argc > 2 && strcmp(argv[1], "--disk") == 0) {
		disk = open(argv[2], O_RDONLY | O_CLOEXEC);
		if (disk < 0)
			refused(argv[2]);
		first = 3;
	}
	short_lists = first < argc && strcmp(argv[first], "--short-free-lists") == 0;
	first += short_lists;
	if (first >= argc)
		usage_error("cast needs an ACTOR");
	for (int i = first; i < argc && count < 512; i++)
		actors[count++] = actor_of(argv[i]);
	take_role("cast");
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	setrlimit(RLIMIT_NOFILE, &files);
	if (short_lists)
		shorten_free_lists();
	if (pipe(go))
		refused("pipe");
	common_memory = memfd_create("shmem", 0);
	if (common_memory < 0)
		refused("memfd_create");
	for (int i = 0; i < count; i++)
		start(&actors[i], go[0]);
	say("all hold");
	stop_here();
	if (write(go[1], "", 1) != 1)
		refused("write");
	for (;;)
		if (wait(NULL) < 0 && errno == ECHILD)
			return 0;
}

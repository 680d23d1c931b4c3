// SPDX-License-Identifier: MIT
/* An actor: who it is, what it takes in which order, and its forks. */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/syscall.h>

#include "cast.h"

static struct array shared, swapped;

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		refused(path);
	close(fd);
}

/* Become another user and keep the capabilities, which some ways to ask for memory need. */
static void become(uid_t uid)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	prctl(PR_SET_KEEPCAPS, 1);
	if (syscall(SYS_capget, &header, data) || setgroups(0, NULL) || setresgid(uid, uid, uid) ||
	    setresuid(uid, uid, uid))
		refused("setresuid");
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	if (syscall(SYS_capset, &header, data))
		refused("capset");
}

static void held(const struct actor *actor, const char *kind, size_t size)
{
	if (size)
		say("held %s %s %zu", actor->comm, kind, size);
}

static void wait_for_the_trigger(const struct actor *actor, int go)
{
	char byte;

	while (read(go, &byte, 1) != 1)
		;
	trigger(actor, shared, swapped);
}

/* Take memory of its own; an actor that prepares a room for its trigger takes so much less. */
static void fill_own(const struct actor *actor, size_t size, bool triggers)
{
	size_t room = triggers ? room_taken(actor) : 0;

	if (size <= room)
		return;
	size -= room;
	fill(map_plain(size, PROT_READ | PROT_WRITE), size, (uint64_t)getpid() << 8);
}

/* Fork the family; each member says that it holds its memory by a byte in `done`. */
static void bear_children(const struct actor *actor, int done, int go)
{
	for (long number = 1; number <= actor->forks; number++) {
		bool last = number == actor->forks;
		int born[2];
		char byte;
		pid_t pid;

		if (pipe(born))
			refused("pipe");
		pid = fork();
		if (pid < 0)
			refused("fork");
		if (pid == 0) {
			close(born[0]);
			close(done);
			if (last && *actor->child)
				take_role(actor->child);
			fill_own(actor, actor->own, last && *actor->child && *actor->trigger);
			if (last && *actor->child && *actor->trigger)
				prepare_room(actor);
			settle_counters();
			if (write(born[1], "", 1) != 1)
				refused("write");
			close(born[1]);
			if (last && *actor->child && *actor->trigger)
				wait_for_the_trigger(actor, go);
			for (;;)
				pause();
		}
		close(born[1]);
		if (read(born[0], &byte, 1) != 1)
			say("lost %s", actor->comm);
		close(born[0]);
	}
}

void act(const struct actor *actor, int done, int go)
{
	char path[320];

	take_role(actor->comm);
	if (*actor->cgroup) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cgroup.procs", actor->cgroup);
		put(path, "0");
	}
	put("/proc/self/oom_score_adj", *actor->adj ? actor->adj : "0");
	if (actor->uid > 0)
		become((uid_t)actor->uid);
	if (actor->swapped)
		swapped = (struct array){ hold_swapped(actor->swapped), actor->swapped };
	held(actor, "swapped", actor->swapped);
	if (actor->shared) {
		shared = (struct array){ map_plain(actor->shared, PROT_READ | PROT_WRITE), actor->shared };
		fill(shared.at, shared.size, (uint64_t)getpid() << 8 | 1);
	}
	held(actor, "shared", actor->shared);
	if (actor->forks)
		bear_children(actor, done, go);
	fill_own(actor, actor->anon, *actor->trigger && !*actor->child);
	held(actor, "anon", actor->anon);
	if (actor->locked)
		hold_locked(actor->locked);
	held(actor, "locked", actor->locked);
	if (actor->shmem)
		hold_shmem(actor->shmem);
	held(actor, "shmem", actor->shmem);
	if (actor->tables)
		hold_tables(actor->tables);
	held(actor, "tables", actor->tables);
	if (actor->slab)
		send_messages(actor->slab, 7 * PAGE);	/* with the headers eight pages at most */
	held(actor, "slab", actor->slab);
	if (actor->pipes)
		fill_pipes(actor->pipes);
	held(actor, "pipes", actor->pipes);
	if (actor->cache)
		read_cache(actor->cache);
	held(actor, "cache", actor->cache);
	if (actor->file)
		map_file(disk, actor->file);
	held(actor, "file", actor->file);
	if (actor->mapped)
		map_file(common_memory, actor->mapped);
	held(actor, "mapped", actor->mapped);
	if (*actor->trigger && !*actor->child)
		prepare_room(actor);
	settle_counters();
	if (write(done, "", 1) != 1)
		refused("write");
	close(done);
	if (*actor->trigger && !*actor->child)
		wait_for_the_trigger(actor, go);
	for (;;)
		pause();
}

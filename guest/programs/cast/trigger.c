// SPDX-License-Identifier: MIT
/* The ways to ask for the last memory, each by the path that an OOM report shows in its trace. */
#include <linux/keyctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "cast.h"

enum { ROOM = 256 << 20 };

size_t disk_used;
static volatile uint64_t *room;	/* where the trigger writes: its page tables are there */

static bool needs_room(const struct actor *actor)
{
	return strcmp(actor->trigger, "copy-on-write") == 0 || strcmp(actor->trigger, "anonymous") == 0 ||
	       strcmp(actor->trigger, "swap-in") == 0;
}

/* A page and the page table that maps it, for each 2 MB. */
size_t room_taken(const struct actor *actor)
{
	return needs_room(actor) ? ROOM / TABLE_SPAN * 2 * PAGE : 0;
}

/* Write one page in each 2 MB, so that the fault that finds no memory is that of a page and not of a page table. */
void prepare_room(const struct actor *actor)
{
	bool copies = strcmp(actor->trigger, "copy-on-write") == 0;
	int fd = -1;

	if (!needs_room(actor))
		return;
	room = map_plain(ROOM, PROT_READ | PROT_WRITE);
	if (copies) {
		fd = memfd_create("copied", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, TABLE_SPAN))
			refused("memfd_create");
		for (size_t at = 0; at < ROOM; at += TABLE_SPAN)
			if (mmap((char *)room + at, TABLE_SPAN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) ==
			    MAP_FAILED)
				refused("mmap");
	}
	for (size_t at = 0; at < ROOM; at += TABLE_SPAN)
		write_page(room, at / PAGE, (uint64_t)getpid() << 8 | 9);
}

/* Write all of the room; what is shared with a file is read first, so that the write copies it. */
__attribute__((noreturn))
static void take_room(bool copies)
{
	for (size_t page = 0; page < ROOM / PAGE; page++) {
		if (copies)
			(void)room[page * PAGE / sizeof(uint64_t)];
		write_page(room, page, (uint64_t)getpid() << 8 | 8);
	}
	say("the room was taken to its end");
	_exit(EXIT_REFUSED);
}

static void trigger_copy(struct array shared)
{
	for (size_t page = 0; page < shared.size / PAGE; page++)
		write_page(shared.at, page, (uint64_t)getpid() << 8 | 4);
	/* Nothing is shared with a relative any more: copy pages of a private mapping of a file. */
	take_room(true);
}

/*
 * Pages that a fault reads into a locked mapping are unevictable: without the lock each would be reclaimed for the next.
 */
static void trigger_file_read(void)
{
	off_t size = lseek(disk, 0, SEEK_END);
	volatile unsigned char *array;

	if (size <= 0)
		refused("lseek");
	array = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, disk, 0);
	if (array == MAP_FAILED)
		refused("mmap");
	if (syscall(SYS_mlock2, array, (size_t)size, MLOCK_ONFAULT))
		refused("mlock2");
	madvise((void *)array, (size_t)size, MADV_RANDOM);	/* no readahead: every page is asked for by its fault */
	for (off_t at = (off_t)disk_used; at < size; at += PAGE)
		(void)array[at];
	say("the disk of %lld bytes was read to its end", (long long)size);
	_exit(EXIT_REFUSED);
}

/* Each fork copies page tables: one page in each 2 MB is written, so that there is much to copy and little held. */
static void trigger_fork(void)
{
	const size_t tables = 64;
	volatile uint64_t *array = map_plain(tables * TABLE_SPAN, PROT_READ | PROT_WRITE);

	for (size_t table = 0; table < tables; table++)
		array[table * (TABLE_SPAN / sizeof(uint64_t))] = 1;
	for (;;) {
		pid_t pid = fork();

		if (pid < 0)
			refused("fork");
		if (pid == 0)
			for (;;)
				pause();
	}
}

/*
 * user_preparse() (security/keys/user_defined.c) keeps the payload in one kmalloc: above 8 KB that is 2^order pages, and
 * a slab of objects of 8 KB has two pages at least.
 */
static void trigger_order(long order)
{
	static char payload[32 * 1024];
	size_t length = ((size_t)PAGE << order) - 256;
	char name[32];

	for (long number = 0;; number++) {
		snprintf(name, sizeof(name), "cast-%ld", number);
		if (syscall(SYS_add_key, "user", name, payload, length > 32512 ? 32512 : length,
			    KEY_SPEC_PROCESS_KEYRING) < 0)
			refused("add_key");
	}
}

static void trigger_network(void)
{
	static char page[PAGE];
	int ends[2], room = 1 << 30;

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends))
		refused("socketpair");
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	for (;;)
		if (send(ends[0], page, sizeof(page), MSG_DONTWAIT) < 0) {
			/* net.unix.max_dgram_qlen bounds one queue. */
			if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends))
				refused("socketpair");
			setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
		}
}

static void trigger_shared(void)
{
	volatile uint64_t *array = mmap(NULL, 1UL << 40, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (array == MAP_FAILED)
		refused("mmap");
	for (size_t page = 0;; page++)
		write_page(array, page, 6);
}

void trigger(const struct actor *actor, struct array shared, struct array swapped)
{
	const char *kind = actor->trigger;

	say("triggers %s %s", actor->comm, kind);
	/* What it takes in addition is as what it holds. */
	if (actor->locked > actor->anon && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		refused("mlockall");
	if (strcmp(kind, "copy-on-write") == 0)
		trigger_copy(shared);
	if (strcmp(kind, "file-read") == 0)
		trigger_file_read();
	if (strcmp(kind, "shared") == 0)
		trigger_shared();
	if (strcmp(kind, "page-table") == 0)
		hold_tables((size_t)1 << 36);
	if (strcmp(kind, "fork") == 0)
		trigger_fork();
	if (strcmp(kind, "pipe") == 0)
		fill_pipes(SIZE_MAX);
	/* Of 4 KB a cgroup is charged two pages, with a pointer more (obj_full_size(), mm/slab.h): order 1. */
	if (strcmp(kind, "slab") == 0 && actor->order == 1 && *actor->cgroup)
		send_messages(SIZE_MAX / 2, PAGE - 128);
	/* Keys are charged to no cgroup. */
	if (strcmp(kind, "slab") == 0 && actor->order > 0)
		trigger_order(actor->order);
	if (strcmp(kind, "slab") == 0)
		send_messages(SIZE_MAX / 2, PAGE / 2 - 128);
	if (strcmp(kind, "network") == 0)
		trigger_network();
	if (strcmp(kind, "swap-in") == 0)
		for (size_t page = 0; page < swapped.size / PAGE; page++)
			write_page(swapped.at, page, 7);
	/* anonymous; and where what there was to swap in is in. */
	take_room(false);
}

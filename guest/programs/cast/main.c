// SPDX-License-Identifier: MIT
/*
 * cast: the processes of an OOM report. One process an actor, under the name, user, oom_score_adj and cgroup of the task
 * that it stands for, each holding memory of the kinds that it is told. One of them then asks for memory in a given way
 * until the kernel has none left.
 *
 * All actors are children of one director, because the agent watches few programs but any number of their processes.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../phases.h"

static const char help[] =
	"usage: cast [--disk FILE] ACTOR...\n"
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
	"\n"
	"Lines: 'held COMM KIND BYTES', 'lost COMM' (killed while it took its memory), 'all hold' (then it stops), and at\n"
	"its first step 'triggers COMM KIND'. Exit status: 64 usage error, 71 the kernel refused something.\n";

enum { PAGE = 4096, TABLE_SPAN = 2 << 20, PIPE_BYTES = 1 << 20, CHUNK = 4 << 20, ROOM = 256 << 20 };

struct actor {
	char comm[64], cgroup[256], trigger[16], child[64], adj[16];
	long uid, order, forks;
	size_t anon, swapped, locked, shmem, tables, slab, pipes, cache, file, mapped, shared, own;
};

static int disk = -1;		/* open as long as the director runs: the last close drops a block device's cache */
static size_t disk_used;	/* how much of the disk the actors read: the trigger reads what comes after it */
static int common;		/* the shared memory */
static volatile uint64_t *room;	/* where the trigger writes: its page tables are there, so that it asks for pages only */
static int go[2];		/* a byte in it lets the trigger go on */
static volatile uint64_t *shared_array, *swapped_array;
static size_t shared_size, swapped_size;

/* A mapping without huge pages, so that it takes the memory that is written and no more. */
static volatile uint64_t *map_plain(size_t size, int protection)
{
	void *array = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (array == MAP_FAILED)
		refused("mmap");
	madvise(array, size, MADV_NOHUGEPAGE);	/* EINVAL: a kernel without huge pages */
	return array;
}

static void fill(volatile uint64_t *array, size_t size, uint64_t tag)
{
	for (size_t page = 0; page < size / PAGE; page++)
		write_page(array, page, tag);
}

/*
 * The same word all over a page: zram keeps the word and no page for it (page_same_filled(), drivers/block/zram/zram_drv.c),
 * so that what is in swap takes no memory.
 */
static void fill_same(volatile uint64_t *array, size_t size)
{
	for (size_t word = 0; word < size / sizeof(uint64_t); word++)
		array[word] = word / (PAGE / sizeof(uint64_t)) + 1;
}

static void hold_swapped(size_t size)
{
	swapped_array = map_plain(size, PROT_READ | PROT_WRITE);
	swapped_size = size;
	for (size_t done = 0; done < size; done += CHUNK) {
		size_t bytes = size - done < CHUNK ? size - done : CHUNK;
		volatile uint64_t *part = swapped_array + done / sizeof(uint64_t);

		fill_same(part, bytes);
		if (madvise((void *)part, bytes, MADV_PAGEOUT))
			refused("madvise(MADV_PAGEOUT)");
	}
}

static void hold_locked(size_t size)
{
	volatile uint64_t *array = map_plain(size, PROT_READ | PROT_WRITE);

	fill(array, size, (uint64_t)getpid() << 8 | 3);
	if (mlock((void *)array, size))
		refused("mlock");
}

static void hold_shmem(size_t size)
{
	static char page[PAGE] = "shmem";

	for (size_t done = 0; done < size; done += PAGE)
		if (pwrite(common, page, PAGE, (off_t)done) != PAGE)
			refused("write");
}

/* A read maps the shared zero page: it takes a page of page table for each 2 MB, and no page of memory. */
static void hold_tables(size_t size)
{
	size_t count = size / PAGE;
	volatile uint64_t *array = map_plain(count * TABLE_SPAN, PROT_READ);

	for (size_t table = 0; table < count; table++)
		(void)array[table * (TABLE_SPAN / sizeof(uint64_t))];
}

/*
 * alloc_msg() (ipc/msgutil.c) takes a piece of a page for each page of a message. The queue keeps them, also when this
 * process is gone.
 */
static void send_messages(size_t size, size_t length)
{
	static struct { long type; char text[8 * PAGE]; } message = { .type = 1 };
	int queue = -1;
	size_t in_queue = 0;

	for (size_t done = 0; done < size; done += length) {
		if (queue < 0 || in_queue > ((size_t)512 << 20)) {
			queue = msgget(IPC_PRIVATE, 0666);
			in_queue = 0;
		}
		if (queue < 0)
			refused("msgget");
		if (msgsnd(queue, &message, length, 0))
			refused("msgsnd");
		in_queue += length;
	}
}

/* Pages of a pipe's buffers are neither on an LRU list nor in a slab (anon_pipe_write() in fs/pipe.c). */
static void fill_pipes(size_t size)
{
	static char page[PAGE];
	int ends[2] = { -1, -1 };
	size_t room = 0;

	for (size_t done = 0; done < size; done += PAGE) {
		if (room == 0) {
			if (pipe2(ends, O_NONBLOCK))
				refused("pipe");
			if (fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) < 0)
				refused("fcntl(F_SETPIPE_SZ)");
			room = PIPE_BYTES;
		}
		if (write(ends[1], page, PAGE) != PAGE)
			refused("write");
		room -= PAGE;
	}
}

static void read_cache(size_t size)
{
	static char page[16 * PAGE];

	for (size_t done = 0; done < size; done += sizeof(page))
		if (pread(disk, page, sizeof(page), (off_t)done) <= 0)
			refused("read");
}

static void map_file(int fd, size_t size)
{
	volatile unsigned char *array = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (array == MAP_FAILED)
		refused("mmap");
	for (size_t at = 0; at < size; at += PAGE)
		(void)array[at];
}

/*
 * Up to 6.1 the kernel adds a task's RSS to its address space after 64 faults, and a fault may map 16 pages of a file
 * (check_sync_rss_stat() and do_fault_around(), mm/memory.c). Faults that map the zero page bring it up to date.
 */
static void settle_counters(void)
{
	volatile uint64_t *array = map_plain(128 * PAGE, PROT_READ);

	for (size_t page = 0; page < 128; page++)
		(void)array[page * PAGE / sizeof(uint64_t)];
	munmap((void *)array, 128 * PAGE);
}

/* Write one page in each 2 MB, so that the fault that finds no memory is that of a page and not of a page table. */
static void prepare_room(const struct actor *actor)
{
	bool copies = strcmp(actor->trigger, "copy-on-write") == 0;
	int fd = -1;

	if (!copies && strcmp(actor->trigger, "anonymous") != 0 && strcmp(actor->trigger, "swap-in") != 0)
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

static void trigger_copy(void)
{
	for (size_t page = 0; page < shared_size / PAGE; page++)
		write_page(shared_array, page, (uint64_t)getpid() << 8 | 4);
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

static void trigger(const struct actor *actor)
{
	const char *kind = actor->trigger;

	say("triggers %s %s", actor->comm, kind);
	if (strcmp(kind, "copy-on-write") == 0)
		trigger_copy();
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
	if (strcmp(kind, "slab") == 0 && actor->order > 0)
		trigger_order(actor->order);
	/* Of 4 KB a cgroup would be charged two pages, with a pointer more (obj_full_size(), mm/slab.h): order 1. */
	if (strcmp(kind, "slab") == 0)
		send_messages(SIZE_MAX / 2, PAGE / 2 - 128);
	if (strcmp(kind, "network") == 0)
		trigger_network();
	if (strcmp(kind, "swap-in") == 0)
		for (size_t page = 0; page < swapped_size / PAGE; page++)
			write_page(swapped_array, page, 7);
	/* anonymous; and where what there was to swap in is in. */
	take_room(false);
}

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

static void wait_for_the_trigger(const struct actor *actor)
{
	char byte;

	while (read(go[0], &byte, 1) != 1)
		;
	trigger(actor);
	for (;;)
		pause();
}

/* Fork the family; each member says that it holds its memory by a byte in `done`. */
static void bear_children(const struct actor *actor, int done)
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
			if (actor->own)
				fill(map_plain(actor->own, PROT_READ | PROT_WRITE), actor->own, (uint64_t)getpid() << 8);
			if (last && *actor->child && *actor->trigger)
				prepare_room(actor);
			settle_counters();
			if (write(born[1], "", 1) != 1)
				refused("write");
			close(born[1]);
			if (last && *actor->child && *actor->trigger)
				wait_for_the_trigger(actor);
			for (;;)
				pause();
		}
		close(born[1]);
		if (read(born[0], &byte, 1) != 1)
			say("lost %s", actor->comm);
		close(born[0]);
	}
}

__attribute__((noreturn))
static void act(const struct actor *actor, int done)
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
		hold_swapped(actor->swapped);
	held(actor, "swapped", actor->swapped);
	if (actor->shared) {
		shared_size = actor->shared;
		shared_array = map_plain(shared_size, PROT_READ | PROT_WRITE);
		fill(shared_array, shared_size, (uint64_t)getpid() << 8 | 1);
	}
	held(actor, "shared", actor->shared);
	if (actor->forks)
		bear_children(actor, done);
	if (actor->anon) {
		fill(map_plain(actor->anon, PROT_READ | PROT_WRITE), actor->anon, (uint64_t)getpid() << 8);
	}
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
		map_file(common, actor->mapped);
	held(actor, "mapped", actor->mapped);
	if (*actor->trigger && !*actor->child)
		prepare_room(actor);
	settle_counters();
	if (write(done, "", 1) != 1)
		refused("write");
	close(done);
	if (*actor->trigger && !*actor->child)
		wait_for_the_trigger(actor);
	for (;;)
		pause();
}

static void set_text(const char *key, char *to, size_t size, const char *value)
{
	if (strlen(value) >= size)
		usage_error("%s: '%s' is longer than %zu characters", key, value, size - 1);
	strcpy(to, value);
}

static void set_word(struct actor *actor, const char *key, const char *value)
{
	static const char *const sizes[] = { "anon", "swapped", "locked", "shmem", "tables", "slab", "pipes",
					     "cache", "file", "mapped", "shared", "own" };
	size_t *const to[] = { &actor->anon, &actor->swapped, &actor->locked, &actor->shmem, &actor->tables, &actor->slab,
			       &actor->pipes, &actor->cache, &actor->file, &actor->mapped, &actor->shared,
			       &actor->own };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (strcmp(key, sizes[i]) == 0) {
			*to[i] = size_of(key, value) & ~(size_t)(PAGE - 1);
			return;
		}
	if (strcmp(key, "comm") == 0)
		set_text(key, actor->comm, sizeof(actor->comm), value);
	else if (strcmp(key, "cgroup") == 0)
		set_text(key, actor->cgroup, sizeof(actor->cgroup), value);
	else if (strcmp(key, "trigger") == 0)
		set_text(key, actor->trigger, sizeof(actor->trigger), value);
	else if (strcmp(key, "child") == 0)
		set_text(key, actor->child, sizeof(actor->child), value);
	else if (strcmp(key, "adj") == 0)
		set_text(key, actor->adj, sizeof(actor->adj), value);
	else if (strcmp(key, "uid") == 0)
		actor->uid = number_of(key, value, 0, INT32_MAX);
	else if (strcmp(key, "order") == 0)
		actor->order = number_of(key, value, 0, 3);
	else if (strcmp(key, "forks") == 0)
		actor->forks = number_of(key, value, 0, 1000);
	else
		usage_error("'%s' is no word of an actor", key);
}

static void check(const struct actor *actor)
{
	if (!*actor->comm)
		usage_error("an actor needs comm=NAME");
	if (disk < 0 && (actor->cache || actor->file || strcmp(actor->trigger, "file-read") == 0))
		usage_error("%s reads a disk: --disk names it", actor->comm);
}

/* Parse "adj=300 anon=12M comm=Web Content": the last word is the comm, which may hold blanks. */
static struct actor actor_of(char *text)
{
	struct actor actor = { .comm = "" };

	while (*text) {
		char *end = strncmp(text, "comm=", 5) == 0 ? text + strlen(text) : text + strcspn(text, " ");
		char *next = *end ? end + 1 : end, *equals;

		*end = '\0';
		equals = strchr(text, '=');
		if (*text && !equals)
			usage_error("'%s' is not KEY=VALUE", text);
		if (equals) {
			*equals = '\0';
			set_word(&actor, text, equals + 1);
		}
		text = next;
	}
	check(&actor);
	if (actor.cache > disk_used)
		disk_used = actor.cache;
	if (actor.file > disk_used)
		disk_used = actor.file;
	return actor;
}

static void start(const struct actor *actor)
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
		act(actor, done[1]);
	}
	close(done[1]);
	if (read(done[0], &byte, 1) != 1)
		say("lost %s", actor->comm);
	close(done[0]);
}

int main(int argc, char **argv)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY }, files = { 1 << 19, 1 << 19 };
	static struct actor actors[512];
	int first = 1, count = 0;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return fputs(help, stdout), 0;
	if (argc > 2 && strcmp(argv[1], "--disk") == 0) {
		disk = open(argv[2], O_RDONLY | O_CLOEXEC);
		if (disk < 0)
			refused(argv[2]);
		first = 3;
	}
	if (first >= argc)
		usage_error("cast needs an ACTOR");
	for (int i = first; i < argc && count < 512; i++)
		actors[count++] = actor_of(argv[i]);
	take_role("cast");
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	setrlimit(RLIMIT_NOFILE, &files);
	if (pipe(go))
		refused("pipe");
	common = memfd_create("shmem", 0);
	if (common < 0)
		refused("memfd_create");
	for (int i = 0; i < count; i++)
		start(&actors[i]);
	say("all hold");
	stop_here();
	if (write(go[1], "", 1) != 1)
		refused("write");
	for (;;)
		if (wait(NULL) < 0 && errno == ECHILD)
			return 0;
}

// SPDX-License-Identifier: MIT
/* Memory of the kinds that an OOM report counts, each taken in a way that puts it into its counter and no other. */
#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "cast.h"

enum { PIPE_BYTES = 1 << 20, CHUNK = 4 << 20 };

int disk = -1;
int common_memory;

/* A mapping without huge pages, so that it takes the memory that is written and no more. */
volatile uint64_t *map_plain(size_t size, int protection)
{
	void *array = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (array == MAP_FAILED)
		refused("mmap");
	madvise(array, size, MADV_NOHUGEPAGE);	/* EINVAL: a kernel without huge pages */
	return array;
}

void fill(volatile uint64_t *array, size_t size, uint64_t tag)
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

volatile uint64_t *hold_swapped(size_t size)
{
	volatile uint64_t *array = map_plain(size, PROT_READ | PROT_WRITE);

	for (size_t done = 0; done < size; done += CHUNK) {
		size_t bytes = size - done < CHUNK ? size - done : CHUNK;
		volatile uint64_t *part = array + done / sizeof(uint64_t);

		fill_same(part, bytes);
		if (madvise((void *)part, bytes, MADV_PAGEOUT))
			refused("madvise(MADV_PAGEOUT)");
	}
	return array;
}

void hold_locked(size_t size)
{
	volatile uint64_t *array = map_plain(size, PROT_READ | PROT_WRITE);

	fill(array, size, (uint64_t)getpid() << 8 | 3);
	if (mlock((void *)array, size))
		refused("mlock");
}

void hold_shmem(size_t size)
{
	static char page[PAGE] = "shmem";

	for (size_t done = 0; done < size; done += PAGE)
		if (pwrite(common_memory, page, PAGE, (off_t)done) != PAGE)
			refused("write");
}

/* A read maps the shared zero page: it takes a page of page table for each 2 MB, and no page of memory. */
void hold_tables(size_t size)
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
void send_messages(size_t size, size_t length)
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
void fill_pipes(size_t size)
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

void read_cache(size_t size)
{
	static char page[16 * PAGE];

	for (size_t done = 0; done < size; done += sizeof(page))
		if (pread(disk, page, sizeof(page), (off_t)done) <= 0)
			refused("read");
}

void map_file(int fd, size_t size)
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
void settle_counters(void)
{
	volatile uint64_t *array = map_plain(128 * PAGE, PROT_READ);

	for (size_t page = 0; page < 128; page++)
		(void)array[page * PAGE / sizeof(uint64_t)];
	munmap((void *)array, 128 * PAGE);
}

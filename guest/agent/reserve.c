// SPDX-License-Identifier: MIT
/*
 * Whether the agent may ask for memory. A real-time task may allocate below the min watermark, a quarter of it deep (half
 * since Linux 6.3: gfp_to_alloc_flags() and __zone_watermark_ok() of mm/page_alloc.c). With that gone its request calls the
 * OOM killer as any other does: the open files of each of 150 new processes did, and killed 14 of them.
 *
 * So where memory is exhausted, the agent takes no more than half of the quarter, until there is memory again.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "agent.h"

#define VALID (NSEC / 1000)	/* how long a reading of the free memory counts */
enum { PLENTY_KB = 4096, SOME_KB = 512, SHARE = 4, PART_OF_MIN = 8 };

static int64_t allowed;		/* kB that may be taken before memory is looked at again */
static int64_t reserve_kb;	/* what may be taken of an exhausted memory */
static int64_t read_at = -VALID;

static int64_t min_free_kb(void)
{
	static int fd = -1;
	char text[32];

	if (fd < 0)
		fd = open_file("/proc/sys/vm/min_free_kbytes", O_RDONLY);
	return fd >= 0 && reread(fd, text, sizeof(text)) > 0 ? strtoll(text, NULL, 10) : 0;
}

/*
 * Return what the kernel can give without a kill, in kB. MemAvailable would count half of the slab caches, which may all
 * be in use. Zone DMA holds back a 256th of the memory (lowmem_reserve_ratio).
 */
static int64_t available_kb(int64_t min_free)
{
	static int fd = -1;
	int64_t total = 0, spare = 0, active = 0, inactive = 0, swap = 0;
	char text[2048];

	if (fd < 0)
		fd = open_file("/proc/meminfo", O_RDONLY);
	if (fd < 0 || reread(fd, text, sizeof(text)) <= 0)
		return PLENTY_KB;
	field_kb(text, "MemTotal:", &total);
	field_kb(text, "MemFree:", &spare);
	field_kb(text, "Active(file):", &active);
	field_kb(text, "Inactive(file):", &inactive);
	field_kb(text, "SwapFree:", &swap);
	return spare + (active + inactive) / 2 + swap - min_free - total / 256;
}

static void look(int64_t now)
{
	int64_t min_free = min_free_kb(), available = available_kb(min_free);

	read_at = now;
	if (available >= PLENTY_KB)
		reserve_kb = min_free / PART_OF_MIN;
	allowed = available >= SOME_KB ? available / SHARE : 0;
}

/* Return whether the agent may ask for so much memory now, which it then has taken. */
bool may_take(size_t bytes)
{
	int64_t kb = (int64_t)(bytes + 1023) / 1024, now = now_ns();

	if (now - read_at >= VALID || allowed < kb)
		look(now);
	if (allowed >= kb) {
		allowed -= kb;
		return true;
	}
	if (reserve_kb < kb)
		return false;
	reserve_kb -= kb;
	return true;
}

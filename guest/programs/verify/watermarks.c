// SPDX-License-Identifier: MIT
/* What the kernel keeps free: the zones' watermarks, and what a zone keeps from requests for higher zones. */
#include "verify.h"

struct zone {
	char name[16];
	long min, low, managed;	/* pages */
	long protection[8];	/* lowmem_reserve against requests for the zone of that index, in pages */
};

/* Parse the zones of node 0 from /proc/zoneinfo, lowest first. */
static int read_zones(struct zone *zones, int most)
{
	char *line = slurp("/proc/zoneinfo"), *end, name[16];
	int count = 0, node;

	for (; line && *line; line = end ? end + 1 : NULL) {
		struct zone *zone = zones + count - 1;
		long value;

		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (sscanf(line, "Node %d, zone %15s", &node, name) == 2) {
			if (node > 0 || count == most)
				break;
			zones[count] = (struct zone){ 0 };
			memcpy(zones[count++].name, name, sizeof(name));
		} else if (!count) {
			continue;
		} else if (sscanf(line, " min %ld", &value) == 1) {
			zone->min = value;
		} else if (sscanf(line, " low %ld", &value) == 1) {
			zone->low = value;
		} else if (sscanf(line, " managed %ld", &value) == 1) {
			zone->managed = value;
		} else if (strncmp(line, "        protection: (", 21) == 0) {
			char *at = line + 21;

			for (int i = 0; i < 8 && *at && *at != ')'; i++, at += strspn(at, ", "))
				zone->protection[i] = strtol(at, &at, 10);
		}
	}
	return count;
}

/* Return the sum of the zones' min watermarks in kB, and ZONE_MOVABLE's apart, which is empty in this guest. */
static long sum_watermarks(int *count, long *movable)
{
	struct zone zones[8];
	long sum = 0;

	*movable = 0;
	*count = read_zones(zones, 8);
	for (int i = 0; i < *count; i++)
		*(strcmp(zones[i].name, "Movable") == 0 ? movable : &sum) += zones[i].min * PAGE / KB;
	return sum;
}

static void min_free(void)
{
	long sum, movable;
	int count;

	require_vm("min_free_kbytes", 4096);
	sum = sum_watermarks(&count, &movable);
	tell("control_min_free_kbytes=%ld control_watermarks=%ld", get_vm("min_free_kbytes"), sum);
	given_vm("min_free_kbytes", 8192, 4096);
	sum = sum_watermarks(&count, &movable);
	tell("zones=%d watermarks=%ld movable=%ld", count, sum, movable);
}

static struct zone *largest_zone(struct zone *zones, int count)
{
	struct zone *largest = zones;

	for (int i = 1; i < count; i++)
		if (zones[i].managed > largest->managed)
			largest = zones + i;
	return largest;
}

static void watermark_scale(void)
{
	struct zone zones[8], *zone;

	zone = largest_zone(zones, read_zones(zones, 8));
	tell("control_gap=%ld control_min=%ld", zone->low - zone->min, zone->min);
	given_vm("watermark_scale_factor", 1000, 10);
	zone = largest_zone(zones, read_zones(zones, 8));
	tell("managed=%ld min=%ld gap=%ld", zone->managed, zone->min, zone->low - zone->min);
}

/* Set the ratio of the lowest zone; the file has one for each zone. */
static void set_reserve_ratio(long ratio)
{
	char before[128], text[160], *rest = slurp("/proc/sys/vm/lowmem_reserve_ratio");

	needs("lowmem_reserve_ratio", rest ? 0 : errno, ENOENT);
	snprintf(before, sizeof(before), "%s", rest);
	snprintf(text, sizeof(text), "%ld%s", ratio, before + strcspn(before, "\t "));
	if (spill("/proc/sys/vm/lowmem_reserve_ratio", text))
		refused("lowmem_reserve_ratio");
}

static void lowmem_reserve(void)
{
	struct zone zones[8];
	int count;

	set_reserve_ratio(256);
	count = read_zones(zones, 8);
	tell("control_reserve=%ld", count < 2 ? -1 : zones[0].protection[1]);
	set_reserve_ratio(condition("ratio") ? 100 : 256);
	tell("ratio=%ld", get_vm("lowmem_reserve_ratio"));
	count = read_zones(zones, 8);
	if (count < 2)
		not_applicable(ENODEV);
	tell("above=%ld reserve=%ld own=%ld", zones[1].managed, zones[0].protection[1], zones[0].protection[0]);
}

const struct check watermarks_checks[] = {
	{ "min-free", min_free, "min_free_kbytes", false },
	{ "watermark-scale", watermark_scale, "watermark_scale_factor", false },
	{ "lowmem-reserve", lowmem_reserve, "ratio", false },
	{ 0 },
};

/* SPDX-License-Identifier: MIT */
/* cast: what its modules share. */
#ifndef RIG_CAST_H
#define RIG_CAST_H

#include "../phases.h"

enum { PAGE = 4096, TABLE_SPAN = 2 << 20 };

/* An actor, as its words say (main.c). Sizes in bytes, whole pages; an empty text where nothing was said. */
struct actor {
	char comm[64], cgroup[256], trigger[16], child[64], adj[16];
	long uid, order, forks;
	size_t anon, swapped, locked, shmem, tables, slab, pipes, cache, file, mapped, shared, own;
};

/* words.c: parse "adj=300 anon=12M comm=Web Content"; the last word is the comm, which may hold blanks. */
struct actor actor_of(char *text);

/* memory.c: take memory of a kind. A refused call ends the process. */
extern int disk;		/* open as long as the director runs: the last close drops a block device's cache; or -1 */
extern int common_memory;	/* a memfd: the shared memory of all actors */
volatile uint64_t *map_plain(size_t size, int protection);
void fill(volatile uint64_t *array, size_t size, uint64_t tag);
volatile uint64_t *hold_swapped(size_t size);
void hold_locked(size_t size);
void hold_shmem(size_t size);
void hold_tables(size_t size);
void send_messages(size_t size, size_t length);
void fill_pipes(size_t size);
void read_cache(size_t size);
void map_file(int fd, size_t size);
void settle_counters(void);

/* trigger.c: ask for memory until there is none. */
extern size_t disk_used;	/* how much of the disk the actors read: the trigger reads what comes after it */
struct array {
	volatile uint64_t *at;
	size_t size;
};
/* Return the bytes of pages and page tables that prepare_room() takes: they are a part of what the actor holds. */
size_t room_taken(const struct actor *actor);
/* Prepare what the trigger writes to, so that it asks for pages only. */
void prepare_room(const struct actor *actor);
/* shared: what a family shares; swapped: what the actor has in swap. */
__attribute__((noreturn)) void trigger(const struct actor *actor, struct array shared, struct array swapped);

/* actor.c: become the actor, take its memory, write a byte to `done`, and wait; a byte in `go` lets the trigger go on. */
__attribute__((noreturn)) void act(const struct actor *actor, int done, int go);

#endif

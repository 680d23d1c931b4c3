// SPDX-License-Identifier: MIT
/* The words of an actor. */
#include "cast.h"

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
struct actor actor_of(char *text)
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

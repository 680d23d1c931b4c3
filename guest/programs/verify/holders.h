/* SPDX-License-Identifier: MIT */
/*
 * Processes that hold memory, and one that takes more until the kernel kills: what the checks of the OOM killer are
 * made of. The check's own process is protected (oom_score_adj -1000) and waits.
 */
#ifndef RIG_VERIFY_HOLDERS_H
#define RIG_VERIFY_HOLDERS_H

#include "verify.h"

#define GROUP "/sys/fs/cgroup/verify"

struct holder {
	const char *name;	/* the comm that the kernel's report shows */
	long bytes;		/* to hold; EAT: take more until told to stop */
	int adj;		/* oom_score_adj */
	const char *group;	/* a cgroup's directory, or NULL */
	int node;		/* allocate from this node only; ANY_NODE */
};

enum { EAT = -1, ANY_NODE = -1 };

/* Starts one and tells "rss.NAME=kB adj.NAME=N" when it holds its memory; an eater is on its way then. */
pid_t start_holder(struct holder holder);
pid_t hold(const char *name, long bytes, int adj, const char *group);
pid_t eat(int adj, const char *group);

/*
 * Waits for the first to be killed (at most 10 s), and 0.2 s for those that go with it; then tells
 * "killed=NAME,NAME eaten=kB". Whoever is left is ended by the end of the check.
 */
void wait_for_kill(void);

/* ---- with two nodes; conditions "cpuset" and "mempolicy" ---- */

/* A cgroup that may allocate from the second node only runs out of it, beside a larger process on the first. */
void oom_of_cpuset(void);

/* Two processes that are bound to the second node by their memory policy run out of it. */
void oom_of_mempolicy(void);

/* Half of what is available: its holder is the largest process, and an eater soon takes the rest. */
long half(void);

/* ---- cgroup v2 ---- */

/* Make a cgroup below the root; where there is none, the check does not apply. */
void make_group(const char *path);

/* Write a key of a cgroup and tell "KEY=VALUE" as it was read back. */
void set_group(const char *path, const char *key, const char *value);

/* A count of GROUP's memory.events. */
long group_event(const char *name);

/* Whoever is in there is killed, and the cgroup removed. */
void remove_group(const char *path);

#endif

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
	void (*also)(void);	/* what it does when it holds its memory, before it waits; or NULL */
};

enum { EAT = -1, ANY_NODE = -1 };

/* Starts one and tells "rss.NAME=kB adj.NAME=N" when it holds its memory; an eater is on its way then. */
pid_t start_holder(struct holder holder);
pid_t hold(const char *name, long bytes, int adj, const char *group);
pid_t eat(int adj, const char *group);

/* The check sees the end of a process that a holder made, too. */
void follow(const char *name, pid_t pid);

/*
 * For `also`: what the check is to know of what a holder made; that the holder is ready, for one that does not return
 * from it; and when it is to go on.
 */
void give_pid(pid_t pid);
pid_t given_pid(void);
void now_ready(void);
void go_on(void);
void wait_to_go_on(void);

/* Tells what a process holds and its score, as the kernel has them. */
void tell_holder(const char *name, pid_t pid);

/* Have the kernel choose a process and kill it, while memory is free, and tell whom it killed. */
void press_sysrq_f(void);

/*
 * Waits for the first to be killed (at most 10 s), and 0.2 s for those that go with it; then tells
 * "killed=NAME,NAME eaten=kB". Whoever is left is ended by the end of the check.
 */
void wait_for_kill(void);

/* The same where no kill is expected, or at once: waits half a second for one. */
void expect_no_kill(void);

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

/* SPDX-License-Identifier: MIT */
/*
 * Holders are processes that hold memory; an eater is one that takes more until the kernel kills. The checks of the OOM
 * killer are made of them. The check's own process is protected (oom_score_adj -1000) and waits.
 */
#ifndef RIG_VERIFY_HOLDERS_H
#define RIG_VERIFY_HOLDERS_H

#include "verify.h"

#define GROUP "/sys/fs/cgroup/verify"
#define SECOND_NODE "/sys/devices/system/node/node1"

struct holder {
	const char *name;	/* the comm that the kernel's report shows */
	long bytes;		/* to hold; EAT: take more until told to stop; EAT_PAGES: and no huge pages */
	int adj;		/* oom_score_adj; a check may declare it as the condition "adj.NAME" */
	const char *group;	/* a cgroup's directory, or NULL */
	int node;		/* allocate from this node only, and no huge pages; ANY_NODE */
	void (*also)(void);	/* called when the process holds its memory, before it waits; or NULL */
};

enum { EAT = -1, EAT_PAGES = -2, ANY_NODE = -1 };

/* Start one and report "rss.NAME=kB adj.NAME=N" when it holds its memory. For an eater: when it has begun to eat. */
pid_t start_holder(struct holder holder);
pid_t hold(const char *name, long bytes, int adj, const char *group);
pid_t eat(int adj, const char *group);

/* Watch a process that a holder forked, as NAME: its end counts like that of a holder. */
void follow(const char *name, pid_t pid);

/*
 * For `also`: pass a pid that the holder made to the check; report that the holder is ready, for an `also` that does
 * not return; wait until the check lets the holder continue.
 */
void give_pid(pid_t pid);
pid_t given_pid(void);
void now_ready(void);
void go_on(void);
void wait_to_go_on(void);

/* Raise a flag in memory that processes share, and wait for one. */
void raise_flag(volatile int *flag);
void wait_for_flag(volatile int *flag);

/* Report a process's memory and score as the kernel reports them. */
void tell_holder(const char *name, pid_t pid);

/* Have the kernel choose a victim and kill it while memory is free, and report the victim. */
void press_sysrq_f(void);

/* The same, with another name of the fact "killed", for a check that presses twice. */
void press_sysrq_f_as(const char *fact);

/*
 * Wait for the first kill (at most 10 s), and 0.2 s more for further victims; then report
 * "killed=NAME,NAME eaten=kB". The end of the check kills the processes that are left.
 */
void wait_for_kill(void);

/* The same for a check that expects no kill, or an immediate one: wait half a second. */
void expect_no_kill(void);

/* ---- with two nodes; conditions "cpuset", "elsewhere" and "mempolicy" ---- */

/* A cgroup confined to the second node exhausts it, while a larger process holds memory of the first node. */
void oom_of_cpuset(void);

/* Two processes whose memory policy binds them to the second node exhaust it. */
void oom_of_mempolicy(void);

/* Half of the available memory: its holder is the largest process, and an eater soon takes the rest. */
long half(void);

/* ---- cgroup v2 ---- */

/* Make a cgroup below the root; on a kernel without cgroup v2 the check does not apply. */
void make_group(const char *path);

/* Write a key of a cgroup and report "KEY=VALUE" as it was read back. */
void set_group(const char *path, const char *key, const char *value);

/* Kill the holders that are left. */
void end_holders(void);

/* Return one count of GROUP's memory.events. */
long group_event(const char *name);

/* Kill all processes in the cgroup and remove it. */
void remove_group(const char *path);

#endif

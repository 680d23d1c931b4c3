/* SPDX-License-Identifier: MIT */
/*
 * verify: what its checks share. A check measures, the host judges: see rig/verify/checks/ for the other half of each.
 *
 * Output: "check NAME key=value ...", as often as the check likes; the host puts the lines of one check together.
 * "check NAME na=ERRNO" says that the kernel has no such thing, "broken=..." that nothing could be measured. Sizes are
 * in kB, errnos are numbers. Nothing here takes memory that is charged while something is measured: buffers are static.
 */
#ifndef RIG_VERIFY_H
#define RIG_VERIFY_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../phases.h"

#define KB 1024L
#define MB (1024L * 1024L)
#define PAGE 4096L
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

struct check {
	const char *name;
	void (*run)(void);
	/*
	 * What the rule depends on and the check sets up, by a space. "verify NAME~CONDITION" runs the check with that
	 * condition negated (a mutant), and must not pass.
	 */
	const char *conditions;
	/* Needs no root and changes nothing outside of its own process: may run on a machine that others use. */
	bool harmless;
};

/* Each ends with an empty entry. */
extern const struct check limits_checks[], refusals_checks[], watermarks_checks[], commit_checks[], shared_checks[],
	fork_checks[], score_checks[], oom_checks[], memcg_checks[], panic_checks[];

/* False when this run of the check is the mutant of that condition. */
bool condition(const char *name);

/* Whether a word is in a list of words. */
bool listed(const char *words, const char *word);

/* "check NAME key=value ..." */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The kernel has no such thing: says so with the errno, and ends the check. */
void not_applicable(int error) __attribute__((noreturn));

/* The file's text in a static buffer, or NULL with errno. */
char *slurp(const char *path);

/* Write a value to a file: 0, or the errno. */
int spill(const char *path, const char *value);

/* Set /proc/sys/vm/NAME: 0, or the errno. For what is no condition of the rule. */
int set_vm(const char *name, long value);
long get_vm(const char *name);

/* A condition of its own name: sets the sysctl, or `otherwise` in its mutant, and tells what was read back. */
void given_vm(const char *name, long value, long otherwise);

/* The number behind a word of a file, or -1. */
long number_in(const char *path, const char *key);

/* A number of /proc/meminfo; where that has none, the check does not apply. */
long meminfo(const char *key);
long committed(void);

/* Map anonymous memory; a refusal ends the check. */
char *map(long bytes, int prot, int flags);

/* Try a mapping: 0, or the errno of the refusal; nothing stays mapped. */
int try_map(long bytes, int prot, int flags);

/* Measure in a child, which has no capabilities when it is nobody. */
void as_nobody(bool nobody, void (*measure)(void));

/* Write to each page. */
void touch(char *at, long bytes);

/* kB of a range that are resident (mincore). */
long resident(const void *at, long bytes);

/* 1 or 0: whether VmFlags of /proc/self/smaps has this flag for the mapping that holds an address; -1: not known. */
long vm_flag(const void *at, const char *flag);

#endif

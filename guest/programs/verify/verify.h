/* SPDX-License-Identifier: MIT */
/*
 * verify: declarations that its checks share. A check measures here, and the host judges: the other half of each check
 * is in rig/verify/checks/.
 *
 * Output: any number of lines "check NAME key=value ..."; the host combines the lines of one check.
 * "check NAME na=ERRNO" means that the kernel lacks the feature, "broken=..." that nothing could be measured.
 * Sizes are in kB, errnos are numbers. Buffers are static, because an allocation would be charged to Committed_AS while
 * a check measures it.
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
	 * The conditions that the rule depends on and that the check sets up, separated by spaces. "verify
	 * NAME~CONDITION" runs the check with that condition negated. This is a mutant, and it must not pass.
	 */
	const char *conditions;
	/* The check needs no root and changes nothing outside its own process: it may run on a machine in use. */
	bool harmless;
};

/* The tables of checks; each ends with an empty entry. */
extern const struct check limits_checks[], reserves_checks[], refusals_checks[], watermarks_checks[], commit_checks[],
	shared_checks[], fork_checks[], score_checks[], origins_checks[], oom_checks[], exiting_checks[],
	requests_checks[], memcg_checks[], panic_checks[];

/* Return false when this run of the check is the mutant that negates the condition. */
bool condition(const char *name);

/* Whether the running check declares a condition of this name. */
bool declared(const char *name);

/* Whether a word is in a list of words. */
bool listed(const char *words, const char *word);

/* Print "check NAME key=value ...". */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Report that the kernel lacks the feature, with the errno that says so, and end the check. */
void not_applicable(int error) __attribute__((noreturn));

/* Report that the check could not be measured, and end it. The formatted text is one word, without blanks. */
void broken(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * Go on when error is 0. Otherwise end the check: it does not apply where the error is the one that a kernel without the
 * feature returns (`lacking`), and it is broken for any other, which says nothing about the kernel.
 */
void needs(const char *what, int error, int lacking);

/* Return the file's text in a static buffer, or NULL with errno. */
char *slurp(const char *path);

/* Write a value to a file: 0, or the errno. */
int spill(const char *path, const char *value);

/* Set /proc/sys/vm/NAME; returns 0 or the errno. */
int set_vm(const char *name, long value);

/* Set a sysctl that is not a condition of the rule, and read it back: with another value the check is broken. */
void require_vm(const char *name, long value);
long get_vm(const char *name);

/* A sysctl as the condition of the same name: set it, or `otherwise` in its mutant, and report what was read back. */
void given_vm(const char *name, long value, long otherwise);

/* Return the number after a word of a file, or -1. */
long number_in(const char *path, const char *key);

/* Return a number of /proc/meminfo, in kB; when the kernel does not print it, the check does not apply. */
long meminfo(const char *key);
long committed(void);

/* Return how many kB of this process's mappings are charged: those with the flag "ac" (VM_ACCOUNT) in smaps. */
long accounted(void);

/* Return how many kB of addresses this process has mapped. */
long vm_size(void);

/* Return the path of the first swap device in a static buffer, or NULL. */
const char *find_swap(void);

/* The same; without one the check does not apply. */
const char *swap_device(void);

/* Turn the first swap device off, and back on; the harness turns it on after a check that does not. */
void swap_off(void);
void swap_on(void);

/* Read the settings that checks change, and put them back: sysctls, oom_score_adj of the kernel's own, KSM and swap. */
void save_settings(void);
void restore_settings(void);

/* Map anonymous memory; a refusal ends the check. */
char *map(long bytes, int prot, int flags);

/* Try a mapping and unmap it again. Returns 0, or the errno of the refusal. */
int try_map(long bytes, int prot, int flags);

/* Return the largest single mapping that the kernel grants, in kB; high_kb is one that it refuses. */
long largest(long high_kb);

/* Set mode 2, the condition overcommit_memory, with no reserve except the one that a check sets. */
void strict(void);

/* Try to fork; the child ends at once. Returns 0, or the errno of the refusal. */
int try_fork(void);

/* Measure in a child process; as the user nobody it has no capabilities. */
void as_nobody(bool nobody, void (*measure)(void));

/* Write to each page. */
void touch(char *at, long bytes);

/* Return how many kB of a range are resident (mincore(2)). */
long resident(const void *at, long bytes);

/* 1 or 0: whether VmFlags of /proc/self/smaps has this flag for the mapping that holds an address; -1: not known. */
long vm_flag(const void *at, const char *flag);

#endif

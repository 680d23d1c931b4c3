/* SPDX-License-Identifier: MIT */
/*
 * rig-agent: run a plan inside the guest and report what happened (docs/reference/agent-protocol.md).
 *
 * One thread, one event loop, no malloc: everything that grows lives in static tables, whose sizes are defined here.
 * So the agent's memory footprint is the same at the end of an experiment as at its start, but for the marks of page maps
 * (copies.c): two bytes a page of each array.
 */
#ifndef RIG_AGENT_H
#define RIG_AGENT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AGENT_VERSION "0.1.0"

enum {
	MAX_STEPS = 512,
	MAX_WORDS = 4096,
	PLAN_BYTES = 128 * 1024,
	MAX_PROGRAMS = 16,
	MAX_MEMBERS = 128,	/* processes of all programs that are watched at once */
	MAX_REGIONS = 64,
	MAX_ARGS = 512,
	RECORD_BYTES = 64 * 1024,
	PORT_BYTES = 128 * 1024, /* records queued for the port, not yet written */
	LINE_BYTES = 4096,
	NAME_BYTES = 48,
	COMM_BYTES = 16,	/* TASK_COMM_LEN */
	PATH_BYTES = 512,
	LABEL_BYTES = 17,	/* s_volume_name of ext4's superblock, and a NUL */
};

#define NSEC 1000000000LL

/* A plan is an array of steps; a step is a verb and its words (key=value). */
struct verb;

struct word {
	const char *key;
	const char *value;
};

struct step {
	int line;		/* in the plan's text, from 1 */
	char *text;		/* where its line begins */
	const struct verb *verb;
	const struct word *words;
	int count;
	bool go_on;		/* on_error=go */
	bool done;		/* sysctl, write, cgroup: the value was written; spawn: the program was started */
	int64_t timeout;	/* ns, 0: none */
	unsigned int seen;	/* lines matched so far: counted from the program's spawn, not from the step's begin */
	const char *matched;	/* the line= word that the last matched line had (wait_any) */
};

struct plan {
	struct step steps[MAX_STEPS];
	int count;
};

enum outcome { STEP_DONE, STEP_FAILED, STEP_WAITING, STEP_END, STEP_BRANCHED };

/* The type of a word's value: how it is parsed and what is valid. */
struct type {
	const char *name;
	bool (*is_valid)(const char *value);
	const char *problem;	/* the message for an invalid value: "is not a size" */
	bool spawned;		/* the value begins with the name of a program that an earlier step spawned */
};

/* A key as it is written in the verb table. */
struct key {
	const char *name;	/* `length` bytes, no terminating NUL */
	size_t length;
	bool repeats;
	const struct type *type;
};

struct verb {
	const char *name;
	const char *needs;	/* required keys, separated by blanks */
	const char *takes;	/* optional keys */
	bool waits;		/* needs timeout= */
	enum outcome (*begin)(struct step *step);
	enum outcome (*check)(struct step *step);	/* after each event, while waiting */
	void (*describe)(struct step *step);		/* at a time-out: sets saw */
};

extern struct plan plan;
extern const struct verb verbs[];
extern const int verb_count;
extern const struct type types[];	/* the first of them is text */
extern const int type_count;

/* plan.c */
int plan_load(const char *path, void (*problem)(int line, const char *text));
char *plan_room(int kept, size_t *room);	/* where the text of the steps from `kept` on begins */
int plan_replace(int kept, size_t length, void (*problem)(int line, const char *text));
const char *word(const struct step *step, const char *key);

/* values.c */
bool parse_seconds(const char *text, int64_t *ns);
bool parse_size(const char *text, uint64_t *bytes);
bool parse_hex(const char *text, uint64_t *value);
bool parse_int(const char *text, long min, long max, long *value);
int parse_signal(const char *name);

/* The result of the step in progress, for its record. */
struct note {
	int err;		/* errno of the system call that failed; 0: none did */
	char error[256];
	char saw[512];
	int wait_count;		/* used by the wait verbs between begin and check */
	int64_t due;		/* ns, a deadline of the verb's own (sleep, settle); 0: none */
	int64_t poll;		/* ns, the period at which check() is called; 0: on events only */
};

extern struct note note;
enum outcome fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void saw(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* record.c: JSON Lines. A record is built in place and queued for the port as a whole or not at all. */
void port_set(int fd, bool blocking);
int port_fd(void);
bool port_waits(void);		/* whether records are queued */
void port_hung_up(void);
void port_flush(void);
void port_drain(int64_t ns);
void rec_begin(const char *ev);
void rec_end(void);
size_t rec_room(void);
size_t port_room(void);
unsigned long rec_number(void);	/* of the next record */
void rec_str(const char *key, const char *text);
void rec_text(const char *key, const char *text, size_t length);
void rec_base64(const char *key, const char *bytes, size_t length);
bool is_utf8(const char *text, size_t length);
void rec_int(const char *key, int64_t value);
void rec_hex(const char *key, uint64_t value);
void rec_time(const char *key, int64_t ns);
void rec_bool(const char *key, bool value);
void rec_raw(const char *key, const char *text, size_t length);
void rec_null(const char *key);
void rec_open(const char *key, char bracket);
void rec_close(char bracket);

/* text.c: small files and numbers, without stdio. */
int64_t now_ns(void);
ssize_t slurp(const char *path, char *buf, size_t size);	/* NUL-terminated; -1 and errno */
ssize_t reread(int fd, char *buf, size_t size);
int spill(const char *path, const char *text);			/* one write(2); -1 and errno */
ssize_t slurp_named(const char *path, char *buf, size_t size, bool *later);
int spill_named(const char *path, const char *text);
size_t trim(char *text);
bool field_kb(const char *text, const char *key, int64_t *value);
void copy_name(char *to, size_t size, const char *from);
int make_dirs(const char *path);

/* own_mounts.c: /proc and /sys as no program can change them. */
void take_own_mounts(void);
bool has_own_mounts(void);
int directory_of(const char **path);
int open_file(const char *path, int flags);
int open_named(const char *path, int flags, bool *later);
bool file_exists(const char *path);

/* directory.c */
void each_number(const char *path, void (*each)(pid_t number, void *with), void *with);

/* programs.c: output, signals, exits. */
struct stream {
	int fd;
	size_t length;
	bool skipping;		/* the rest of an overlong line */
	bool verbatim;		/* stream=1: no output is truncated or dropped */
	bool terminal;		/* fd is the master of a pseudoterminal */
	char buf[LINE_BYTES];
};

struct program {
	char name[NAME_BYTES];
	pid_t pid;		/* 0: slot never used */
	bool alive;
	int status;		/* as wait(2) gives it, when not alive */
	struct stream out, err;
	int in;			/* where stdin=plan: the end to write to; else -1 or 0 */
	char last_line[160];
};

struct region {
	const struct program *program;
	char name[NAME_BYTES];
	uint64_t start, length;
};

extern struct program programs[MAX_PROGRAMS];
extern const char *payload_dir;
struct program *program_named(const char *name);
const struct region *region_named(const struct program *program, const char *name);
void program_readable(struct program *program, struct stream *stream);
bool stream_may_be_read(const struct stream *stream);
void close_stream(struct stream *stream);
void reap(void);
void exited(const char *program, const char *comm, pid_t pid, int status);	/* wakes wait_exit and wait_any */
enum outcome begin_signal(struct step *step);
enum outcome check_signal(struct step *step);

/* tell.c */
enum outcome begin_tell(struct step *step);

/* launch.c: clone and execve. */
extern const char *launch_stage;	/* what failed: fork, setrlimit, execve, ... */
const char *launch_prepare(const struct step *step);
pid_t launch_start(int in, int out, int err);
pid_t launch_on_terminal(const char *tty);
pid_t launch_heartbeat(const char *const argv[], int in, const char *cgroup);

/* spawn.c */
enum outcome begin_spawn(struct step *step);

/* tty.c: pseudoterminals. */
int open_terminal(char *slave, size_t size);
pid_t start_helper(const char *const argv[], int out_fd, const char *tty);

/* members.c: the processes of a program, found in /proc. */
struct member {
	pid_t pid;		/* 0: free slot */
	const struct program *program;
	char comm[COMM_BYTES];
	char state;
	bool ended, fresh;
	bool first_ended;	/* the first thread has, and another has not: `task` */
	pid_t task;		/* a thread by which /proc shows the memory */
	pid_t status_of;	/* the one of which status_fd is */
	pid_t ppid, pgid, sid;
	int threads, visited_threads;	/* the most that it had when their children were looked for */
	uint64_t started, minflt, majflt, utime, stime, vsize;
	int exit_code;		/* as wait(2) gives it; known only when the agent read the zombie's /proc entry */
	bool told;		/* the kernel's event of its end came before its pidfd's */
	int told_code;
	int64_t owed;		/* ns: until then its exit record waits for that event; 0: it does not */
	int stat_fd, status_fd, score_fd, adj_fd, children_fd, pidfd;
};

extern struct member members[MAX_MEMBERS];
extern int members_unwatched;
void members_refresh(void);
void member_ended(struct member *member);
void member_forget_pid(pid_t pid, int status);
struct member *member_of(const struct program *program, const char *comm, struct member *after);
bool member_told(pid_t pid, int status);
int64_t members_owed(void);
void members_owed_due(int64_t now);
const struct program *program_of_session(pid_t sid);

/* stat.c */
char *append_number(char *to, long value);
int open_of(pid_t pid, pid_t task, const char *file);	/* below /proc/PID, or /proc/PID/task/TASK where it is not 0 */
bool read_stat(struct member *member);

enum { KTHREADD = 2 };	/* the parent of the kernel's threads */

/* lives.c: the processes that the kernel's events tell of */
enum { OF_NOBODY_KNOWN = -1, OF_NO_PROGRAM = -2 };	/* owners that are no index in programs[] */

/* A process, found by its pid within PROBES slots. One that has ended stays until its slot is needed. */
struct life {
	pid_t pid;		/* 0: free slot */
	signed char owner;	/* an index in programs[], or OF_... */
	bool ended;
	bool said;		/* its end is recorded */
	int vm;			/* a number of its address space; 0: nobody else has been seen to have it */
	char comm[COMM_BYTES];
};

bool lives_open(void);
struct life *life_of(pid_t pid);
struct life *new_life(pid_t pid, int owner, const char *comm);
int owner_index(const struct program *program);
const struct program *owner_of(const struct life *life);
void each_life(void (*each)(struct life *life));
void share_vm(struct life *parent, pid_t thread, struct life *child);
bool shared_vm(pid_t pid);
void say_shared_vm(pid_t pid);	/* into the record that is open */
void say_lives_left_out(void);

/* connector.c: how the kernel tells of forks and ends */
void prepare_ends(void);
void ends_open(void);
int ends_fd(void);
bool threads_may_have_children(pid_t pid);
bool ends_readable(void);
void ends_probe(void);
void say_ends(void);	/* into the record that is open */

/* ends.c: what that means */
struct proc_event;
void ends_forked(pid_t parent, pid_t thread, pid_t child);
bool ends_take(const struct proc_event *event);
void ends_own(pid_t pid, const struct program *program);
const struct program *ends_owner(pid_t pid);
bool ends_first_said(pid_t pid);
bool ends_may_be_owned(pid_t pid);
bool ends_reaped(pid_t pid);
void say_unknown_end(struct life *life);
void say_left_out(void);

/* sample.c */
void take_sample(const char *label, bool pss, bool settings);
enum outcome begin_sample(struct step *step);
int64_t sample_due(void);
void sample_if_due(int64_t now);
int64_t vmstat_count(const char *key);
int64_t vmstat_count_or(const char *key, int64_t without);
int64_t own_rss_kb(void);
void say_sysctls(void);		/* into the record that is open */

/* taken.c: how much memory a process has taken */
enum outcome begin_check_rss(struct step *step);
uint64_t taken_together(const struct program *program, const char *comm);

/* written.c: writes of any process to files of the kernel */
int watch_writes(const char *path);
unsigned int writes_of(int watch);

/* reserve.c: memory that the agent may ask for */
enum {
	FILE_BYTES = 6 * 1024,		/* struct file, inode, dentry and buffer (a page) of an open file of /proc */
	THREAD_BYTES = 2 * 1024,	/* inode and dentry of a directory in /proc/PID/task, and of a file in it */
};

bool may_take(size_t bytes);

/* tracefs.c: events that the kernel counts */
void prepare_counts(void);
long tracepoint_id(const char *name);
enum { MAX_CPUS = 64 };

struct everywhere {
	int fds[MAX_CPUS], count;	/* of perf_event_open(2), one a CPU */
	bool whole;
};

int count_of_thread(pid_t thread, uint32_t type, uint64_t config, const char *filter, bool processes);
int count_of_one_thread(pid_t thread, uint32_t type, uint64_t config);
bool count_everywhere(struct everywhere *all, long id, const char *filter);
int64_t count_of_all(const struct everywhere *all);
int64_t event_count(int fd);

/* forks.c: forks that the kernel refused */
void watch_forks(void);
void say_refused_forks(void);

/* copies.c: what tells a page that the kernel copied from others */
struct first_map {
	pid_t pid;
	uint64_t started, start, pages;
	uint16_t *marks;	/* of the frame of each page */
};

void prepare_first_maps(void);
const struct first_map *first_map_of(const struct member *member, uint64_t start, uint64_t pages, bool *later);
uint16_t mark_of(uint64_t frame);
void say_since(const struct first_map *first);	/* NULL: the array has no first map */

/* activity.c: what the threads of a process do to an array */
enum { MAX_THREADS = 16 };

struct thread_activity {
	int absent[2], copies[2], minor, drops[4], moves;	/* events of perf_event_open(2); -1: not counted */
};

struct activity {
	pid_t pid;
	uint64_t started, minflt;
	bool known;		/* every thread of the process is counted */
	bool one_thread;	/* and of minor faults no thread that it creates later */
	struct thread_activity of[MAX_THREADS];
	int threads;
	int64_t filled;
};

struct activity_counts {
	int64_t fresh;		/* faults that may have brought a page without a copy */
	int64_t copies;		/* faults that may have copied one */
	int64_t brought_others;	/* system calls that may have put other pages into the array's place */
};

void prepare_activity(void);
bool counts_faults(void);
void count_activity(struct activity *of, const struct member *m, uint64_t start, uint64_t end);
bool read_activity(const struct activity *of, struct activity_counts *counts);

/* huge.c: what huge pages change in that */
enum { HUGE_SIZES = 8 };

void prepare_huge(void);
void read_brought(int64_t counts[HUGE_SIZES]);
int64_t pages_brought(const int64_t before[HUGE_SIZES], int64_t faults);

struct collapses {
	struct everywhere asked, own;	/* those that programs asked for, and khugepaged's */
};

bool count_collapses(struct collapses *collapses);
int64_t collapses_of(const struct collapses *collapses);

/* pagemap.c and look.c: what /proc reports about one process. */
enum outcome begin_pagemap(struct step *step);
void take_pagemaps(const char *label);
int64_t pagemap_due(void);
void pagemap_if_due(int64_t now);
struct member *one_member(const struct step *step);
enum outcome no_member(void);
void say_label(const struct step *step);
void say_member(const struct member *member);
enum outcome begin_fds(struct step *step);
enum outcome begin_kcmp(struct step *step);
enum outcome begin_status(struct step *step);
enum outcome begin_tree(struct step *step);
enum outcome begin_read(struct step *step);

/* settings.c: verbs that set something and read it back. */
enum outcome begin_sysctl(struct step *step);
const char *read_back(const char *path);
const char *sysctl_path(const char *name);
void say_got(const char *asked, const char *value);
enum outcome begin_write(struct step *step);
enum outcome begin_cgroup(struct step *step);
enum outcome begin_modprobe(struct step *step);
enum outcome begin_swapon(struct step *step);
enum outcome begin_mark(struct step *step);

/* in_force.c: what these verbs have set, read again */
void note_set(const char *path);
void say_who_left(void);
void say_settings_at_end(void);
void say_settings_now(void);	/* into the record that is open */

/* surroundings.c: the root filesystem of a program */
const char *root_path(const char *name);
enum outcome begin_root(struct step *step);
enum outcome begin_mount(struct step *step);
const char *disk_labelled(const char *label);

/* heartbeat.c */
#define HEARTBEAT "rig-heartbeat"	/* its argv[0] and its comm */
int heartbeat_main(char **argv);
enum outcome begin_heartbeat(struct step *step);
void heartbeat_ended(pid_t pid);
void heartbeat_stop(void);
void say_heartbeat(void);

/* cgroups.c */
#define CGROUPS "/sys/fs/cgroup/"
extern bool cgroup_v1;
void mount_cgroups(void);
int mount_cgroup2(const char *where);
void cgroup_file(char *path, size_t size, const char *group, const char *file);
int make_v1_groups(const char *name, char *path, size_t size);
int join_cgroup(const char *name);

/* wait.c */
void poll_again(void);
void count_line(const struct program *program, const char *text);
void count_oom(void);
void forget_lines(const struct program *program);
enum outcome begin_wait_line(struct step *step);
enum outcome begin_wait_state(struct step *step);
enum outcome begin_wait_exit(struct step *step);
enum outcome begin_wait_any(struct step *step);
enum outcome check_wait_line(struct step *step);
enum outcome check_wait_state(struct step *step);
enum outcome check_wait_exit(struct step *step);
enum outcome check_wait_any(struct step *step);
enum outcome check_sleep(struct step *step);
enum outcome begin_sleep(struct step *step);
enum outcome begin_wait_time(struct step *step);
enum outcome begin_end(struct step *step);
void wait_abandoned(const struct step *step);
void describe_members(struct step *step);
void describe_line(struct step *step);

/* until.c: waits for programs that never stop themselves */
bool is_condition(const char *spec);
enum outcome begin_wait_port(struct step *step);
enum outcome begin_wait_rss(struct step *step);
enum outcome begin_wait_until(struct step *step);
enum outcome check_wait_port(struct step *step);
enum outcome check_wait_rss(struct step *step);
enum outcome check_wait_until(struct step *step);

/* kmsg.c */
void kmsg_open(void);
int kmsg_fd(void);
void kmsg_relay(void);
void kmsg_readable(void);
int kmsg_most(void);
int64_t kmsg_left_out(void);
int64_t oom_kills(void);
void say_counted(void);		/* what the kernel itself counts of its reports, into the record that is open */

/* run.c */
void loop_open(void);
void loop_once(int64_t until);
void say_end(const char *reason, int step);
int run_plan(void);		/* 0 when the plan came to its end */

/* branch.c: stop the machine at a point of the plan, and go on from there with the steps of a continuation */
void branch_open(const char *device, int fd);
bool branch_before(int step);	/* whether the machine is to be stopped before this step */
bool branch_now(void);		/* whether the machine is to be stopped in the middle of a step that waits */
bool branch_here(int step);	/* stops; returns in another future, with other steps from `step` on; false: it has none */
enum outcome begin_branch(struct step *step);

/* boot.c: as /init */
void boot(void);
void die(const char *what) __attribute__((noreturn));	/* logs `what` and errno to the kernel log, powers off */
void power_off(void) __attribute__((noreturn));
const char *cmdline(const char *key);
void say_memory(void);
void say_totals(void);
bool has_pvpanic(void);
void allow_files(void);

/* modules.c */
void load_modules(void);
void load_asked(void);
int load_module(const char *path);
int load_optional(const char *name);
void keep_optional_modules(const char *directory);

/* root.c */
extern char root_device[], root_filesystem[];
extern bool root_has_dax;
extern const char *const image_devices[];
bool wait_for_device(const char *path, int64_t ns);
const char *filesystem_on(int fd, char *label);
bool is_layer(const char *label);
bool mount_image(const char *device, const char *where, const char *type, unsigned long flags);
bool has_dax(const char *file);
void mount_root(void);
void enter_root(void);

/* payload.c, live.c */
void wait_for_payload(void);
void go_live(void);
void shell_start(void);
void shell_ended(pid_t pid);

#endif

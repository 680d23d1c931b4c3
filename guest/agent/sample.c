// SPDX-License-Identifier: MIT
/*
 * Samples: the memory of the guest and of each program, read from files of /proc that stay open. All numbers are copied
 * as the kernel printed them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

static char text[16 * 1024];
static int64_t period, due;
static bool period_pss;
static char period_label[NAME_BYTES];
static char cgroup[NAME_BYTES];	/* the cgroup that is sampled, relative to the root; empty: none */

static bool fill(int *fd, const char *path)
{
	if (*fd == -1) {
		*fd = open_file(path, O_RDONLY);
		if (*fd < 0)
			*fd = -2;	/* this kernel does not have it */
	}
	return *fd >= 0 && reread(*fd, text, sizeof(text)) > 0;
}

/* Record the lines "Key:     1234 kB" of /proc/meminfo's form. */
static void say_meminfo(void)
{
	static int fd = -1;

	if (!fill(&fd, "/proc/meminfo")) {
		rec_null("meminfo");
		return;
	}
	rec_open("meminfo", '{');
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		char *colon = memchr(line, ':', (size_t)(end - line)), *number;

		if (!colon)
			continue;
		*colon = '\0';
		for (number = colon + 1; *number == ' ';)
			number++;
		rec_raw(line, number, strspn(number, "0123456789"));
	}
	rec_close('}');
}

static bool wanted(const char *line)
{
	switch (line[0]) {
	case 'p':
		return memcmp(line, "pgfault ", 8) == 0 || memcmp(line, "pgmajfault ", 11) == 0 ||
		       memcmp(line, "pswp", 4) == 0 || memcmp(line, "pgpgin ", 7) == 0 || memcmp(line, "pgsteal_", 8) == 0 ||
		       memcmp(line, "pgscan_", 7) == 0;
	case 'o':
		return memcmp(line, "oom_kill ", 9) == 0;
	case 'w':
		return memcmp(line, "workingset_refault", 18) == 0;
	case 't':
		return memcmp(line, "thp_fault_alloc ", 16) == 0 || memcmp(line, "thp_split_page ", 15) == 0;
	}
	return false;
}

static int vmstat_fd = -1;

/* Return one number of /proc/vmstat, or `without` if this kernel does not have it. */
int64_t vmstat_count_or(const char *key, int64_t without)
{
	int64_t value = without;

	if (fill(&vmstat_fd, "/proc/vmstat") && !field_kb(text, key, &value))
		value = without;
	return value;
}

int64_t vmstat_count(const char *key)
{
	return vmstat_count_or(key, 0);
}

static void say_vmstat(void)
{
	if (!fill(&vmstat_fd, "/proc/vmstat")) {
		rec_null("vmstat");
		return;
	}
	rec_open("vmstat", '{');
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		char *blank;

		if (!wanted(line))
			continue;
		blank = strchr(line, ' ');
		*blank = '\0';
		rec_raw(line, blank + 1, (size_t)(end - blank - 1));
	}
	rec_close('}');
}

/* Parse the lines "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and "full …" (psi_show() of kernel/sched/psi.c). */
static void say_pressure(const char *key)
{
	rec_open(key, '{');
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		char *avg10 = strstr(line, "avg10="), *total = strstr(line, "total=");

		if (!avg10 || !total || line[4] != ' ')
			continue;
		line[4] = '\0';
		rec_open(line, '{');
		rec_raw("avg10", avg10 + 6, strspn(avg10 + 6, "0123456789."));
		rec_raw("total", total + 6, strspn(total + 6, "0123456789"));
		rec_close('}');
	}
	rec_close('}');
}

static void say_psi(void)
{
	static int fd = -1, io_fd = -1;

	if (fill(&fd, "/proc/pressure/memory"))
		say_pressure("psi");
	else
		rec_null("psi");
	if (fill(&io_fd, "/proc/pressure/io"))
		say_pressure("psi_io");
}

static bool fill_cgroup(const char *file)
{
	char path[PATH_BYTES];

	cgroup_file(path, sizeof(path), cgroup, file);
	return slurp(path, text, sizeof(text)) > 0;
}

/* Record a cgroup's memory, how often it reached its limits (memory.events: lines "high 12"), and its pressure. */
static void say_cgroup(void)
{
	if (!*cgroup)
		return;
	rec_open("cgroup", '{');
	rec_str("name", cgroup);
	if (fill_cgroup(cgroup_v1 ? "memory.usage_in_bytes" : "memory.current"))
		rec_raw("current", text, trim(text));
	if (fill_cgroup("memory.events")) {
		rec_open("events", '{');
		for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
			char *blank = memchr(line, ' ', (size_t)(end - line));

			if (!blank)
				continue;
			*blank = '\0';
			rec_raw(line, blank + 1, (size_t)(end - blank - 1));
		}
		rec_close('}');
	}
	if (fill_cgroup("memory.pressure"))
		say_pressure("psi");
	if (fill_cgroup("io.pressure"))
		say_pressure("psi_io");
	rec_close('}');
}

/* Fields in the order in which task_mem() of fs/proc/task_mmu.c prints them, so that one pass finds all. */
static const struct { const char *field, *key; } sizes[] = {
	{ "VmRSS:", "rss_kb" }, { "RssAnon:", "anon_kb" }, { "RssFile:", "file_kb" }, { "RssShmem:", "shmem_kb" },
	{ "VmPTE:", "pgtables_kb" }, { "VmSwap:", "swap_kb" },
};

static void say_sizes(void)
{
	char *at = text;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *found = strstr(at, sizes[i].field);

		if (!found)
			continue;	/* a zombie has no memory and none of these lines */
		at = found + strlen(sizes[i].field);
		while (*at == ' ' || *at == '\t')
			at++;
		rec_raw(sizes[i].key, at, strspn(at, "0123456789"));
	}
}

static void say_file(const char *key, int *fd, pid_t pid, const char *file)
{
	char path[64], small[32];

	if (*fd < 0 && may_take(FILE_BYTES)) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
		*fd = open_file(path, O_RDONLY);
	}
	if (*fd >= 0 && reread(*fd, small, sizeof(small)) > 0)
		rec_raw(key, small, trim(small));
	else
		rec_null(key);
}

static void say_pss(pid_t pid)
{
	char path[64];
	int64_t value;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if (slurp(path, text, sizeof(text)) <= 0)
		return;
	if (field_kb(text, "Pss:", &value))
		rec_int("pss_kb", value);
	if (field_kb(text, "Private_Dirty:", &value))
		rec_int("private_dirty_kb", value);
	if (field_kb(text, "Shared_Dirty:", &value))
		rec_int("shared_dirty_kb", value);
}

static void say_process(struct member *m, bool pss)
{
	char state[2] = { m->state, '\0' };

	rec_open(NULL, '{');
	rec_str("program", m->program->name);
	rec_str("comm", m->comm);
	rec_int("pid", m->pid);
	rec_int("ppid", m->ppid);
	rec_str("state", state);
	if (m->status_fd >= 0 && m->status_of != m->task) {
		close(m->status_fd);
		m->status_fd = -1;
	}
	if (m->status_fd < 0 && may_take(FILE_BYTES)) {
		m->status_fd = open_of(m->task, 0, "status");
		m->status_of = m->task;
	}
	if (m->status_fd >= 0 && reread(m->status_fd, text, sizeof(text)) > 0)
		say_sizes();
	rec_int("vm_kb", (int64_t)(m->vsize / 1024));
	rec_int("minflt", (int64_t)m->minflt);
	rec_int("majflt", (int64_t)m->majflt);
	say_file("oom_score", &m->score_fd, m->pid, "oom_score");
	say_file("oom_score_adj", &m->adj_fd, m->pid, "oom_score_adj");
	rec_int("threads", m->threads);
	if (pss)
		say_pss(m->task);
	rec_close('}');
}

/* settings: whether to read those that the plan has set; open(2) allocates memory, of which there may be none left. */
void take_sample(const char *label, bool pss, bool settings)
{
	int64_t began = now_ns();
	int left_out = 0;

	members_refresh();
	rec_begin("sample");
	if (label && *label)
		rec_str("label", label);
	else
		rec_null("label");
	say_meminfo();
	say_vmstat();
	say_psi();
	say_cgroup();
	say_heartbeat();
	if (settings)
		say_settings_now();
	rec_open("procs", '[');
	for (int i = 0; i < MAX_MEMBERS; i++) {
		if (!members[i].pid || members[i].ended)
			continue;
		if (rec_room() > 1024)
			say_process(&members[i], pss);
		else
			left_out++;
	}
	rec_close(']');
	if (left_out + members_unwatched)
		rec_int("procs_left_out", left_out + members_unwatched);
	rec_time("took", now_ns() - began);
	rec_end();
}

int64_t sample_due(void)
{
	return period ? due : INT64_MAX;
}

/* Times are multiples of the period from its start: a late sample does not shift the next; missed ones are skipped. */
void sample_if_due(int64_t now)
{
	if (!period || now < due)
		return;
	take_sample(period_label, period_pss, false);
	now = now_ns();
	due += (1 + (now - due) / period) * period;
}

enum outcome begin_sample(struct step *step)
{
	const char *every = word(step, "every"), *label = word(step, "label"), *pss = word(step, "pss");
	const char *now = word(step, "now");
	bool with_pss = pss && strcmp(pss, "1") == 0;

	if (word(step, "cgroup"))
		copy_name(cgroup, sizeof(cgroup), word(step, "cgroup"));
	if (every) {
		parse_seconds(every, &period);
		due = now_ns() + period;
		period_pss = with_pss;
		copy_name(period_label, sizeof(period_label), label ? label : "");
	}
	if (!every || (now && strcmp(now, "1") == 0)) {
		say_who_left();
		take_sample(label, with_pss, true);
	}
	return STEP_DONE;
}

int64_t own_rss_kb(void)
{
	int64_t rss = -1;

	if (slurp("/proc/self/status", text, sizeof(text)) > 0)
		field_kb(text, "VmRSS:", &rss);
	return rss;
}

// SPDX-License-Identifier: MIT
/*
 * The event loop: serve programs' output, exits, the kernel log and samples while a step of the plan waits. It sleeps
 * in poll(2) until the next event or deadline, so that an idle guest takes no CPU time.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

struct note note;
static int signals = -1;
/* Whether to watch the port for a hangup while no record waits: not once the host closed it, when poll(2) never sleeps. */
static bool watches_port;

enum outcome fail(int err, const char *format, ...)
{
	va_list args;

	note.err = err;
	va_start(args, format);
	vsnprintf(note.error, sizeof(note.error), format, args);
	va_end(args);
	return STEP_FAILED;
}

void saw(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(note.saw, sizeof(note.saw), format, args);
	va_end(args);
}

void loop_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGPIPE);
	watches_port = getpid() == 1;
	signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

enum source { FROM_SIGNALS, FROM_ENDS, FROM_KMSG, FROM_PORT, FROM_OUT, FROM_ERR, FROM_MEMBER };

struct watch {
	enum source source;
	void *what;
};

static struct pollfd fds[4 + 2 * MAX_PROGRAMS + MAX_MEMBERS];
static struct watch watches[sizeof(fds) / sizeof(fds[0])];
static nfds_t watched;

static void watch(int fd, short events, enum source source, void *what)
{
	if (fd < 0)
		return;
	fds[watched] = (struct pollfd){ .fd = fd, .events = events };
	watches[watched++] = (struct watch){ source, what };
}

static void watch_all(void)
{
	watched = 0;
	for (int i = 0; i < MAX_PROGRAMS; i++) {
		if (!programs[i].pid)
			continue;
		if (stream_may_be_read(&programs[i].out))
			watch(programs[i].out.fd, POLLIN, FROM_OUT, &programs[i]);
		if (stream_may_be_read(&programs[i].err))
			watch(programs[i].err.fd, POLLIN, FROM_ERR, &programs[i]);
	}
	for (int i = 0; i < MAX_MEMBERS; i++)
		if (members[i].pid && !members[i].ended)
			watch(members[i].pidfd, POLLIN, FROM_MEMBER, &members[i]);
	watch(signals, POLLIN, FROM_SIGNALS, NULL);
	watch(ends_fd(), POLLIN, FROM_ENDS, NULL);
	watch(kmsg_fd(), POLLIN, FROM_KMSG, NULL);
	if (port_waits() || watches_port)
		watch(port_fd(), port_waits() ? POLLOUT : 0, FROM_PORT, NULL);
}

static void serve(const struct watch *ready, short events)
{
	struct signalfd_siginfo info;
	struct program *program = ready->what;
	struct member *member = ready->what;

	switch (ready->source) {
	case FROM_SIGNALS:
		while (read(signals, &info, sizeof(info)) > 0)
			;
		reap();
		break;
	case FROM_ENDS:
		ends_readable();
		break;
	case FROM_KMSG:
		kmsg_readable();
		break;
	case FROM_PORT:
		if (events & POLLHUP) {
			watches_port = false;
			port_hung_up();
		}
		port_flush();
		break;
	case FROM_OUT:
		if (program->out.fd > 0)
			program_readable(program, &program->out);
		break;
	case FROM_ERR:
		if (program->err.fd > 0)
			program_readable(program, &program->err);
		break;
	case FROM_MEMBER:
		member_ended(member);
		break;
	}
}

/* Sleep until an event comes, at most until `until` (ns of CLOCK_MONOTONIC). Returns how many sources are ready. */
static int sleep_until(int64_t until)
{
	struct timespec timeout, *limit = NULL;
	int64_t now = now_ns();

	if (until != INT64_MAX) {
		int64_t left = until > now ? until - now : 0;

		timeout = (struct timespec){ .tv_sec = left / NSEC, .tv_nsec = left % NSEC };
		limit = &timeout;
	}
	watch_all();
	return ppoll(fds, watched, limit, NULL);
}

static bool only_ends_ready(int ready)
{
	for (nfds_t i = 0; ready == 1 && i < watched; i++)
		if (fds[i].revents)
			return watches[i].source == FROM_ENDS;
	return false;
}

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Wait for one round of events, at most until `until` (ns of CLOCK_MONOTONIC), and serve them. */
void loop_once(int64_t until)
{
	int ready;

	until = earliest(earliest(until, members_owed()), earliest(sample_due(), pagemap_due()));
	do
		ready = sleep_until(until);
	/* A fork ends no wait. The steps that wait would walk all of /proc after each. Other CPUs may fork without end. */
	while (only_ends_ready(ready) && !ends_readable() && now_ns() < until);
	if (ready < 0 && errno == EINVAL)
		allow_files();
	for (nfds_t i = 0; ready > 0 && i < watched; i++)
		if (fds[i].revents) {
			serve(&watches[i], fds[i].revents);
			ready--;
		}
	members_owed_due(now_ns());
	sample_if_due(now_ns());
	pagemap_if_due(now_ns());
}

static void say_step(int index, const struct step *step, enum outcome outcome, int64_t took)
{
	rec_begin("step");
	rec_int("i", index);
	rec_str("verb", step->verb->name);
	rec_bool("ok", outcome != STEP_FAILED);
	if (outcome == STEP_FAILED) {
		if (note.err)
			rec_str("errno", strerrorname_np(note.err) ?: "?");
		else
			rec_null("errno");
		rec_str("error", note.error);
	}
	rec_time("took", took);
	if (note.saw[0])
		rec_str("saw", note.saw);
	rec_end();
}

static enum outcome run_step(int index, struct step *step)
{
	int64_t began = now_ns();
	int64_t deadline = step->timeout ? began + step->timeout : INT64_MAX;
	enum outcome outcome;

	loop_once(0);	/* serve pending events first: the step sees all output from before it began */
	if (branch_now())
		return STEP_BRANCHED;
	note = (struct note){ 0 };
	outcome = step->verb->begin(step);
	while (outcome == STEP_WAITING) {
		int64_t until = note.due ? note.due : deadline, now = now_ns();

		if (!note.due && now >= deadline) {
			if (step->verb->describe)
				step->verb->describe(step);
			outcome = fail(ETIMEDOUT, "nothing of what was waited for came in time");
			break;
		}
		if (note.poll && now + note.poll < until)
			until = now + note.poll;
		loop_once(until);
		if (branch_now()) {
			wait_abandoned(step);
			return STEP_BRANCHED;
		}
		outcome = step->verb->check(step);
	}
	say_step(index, step, outcome, now_ns() - began);
	return outcome;
}

void say_end(const char *reason, int step)
{
	/* Output that programs and the kernel have written by now belongs to the run: collect it before the end. */
	loop_once(now_ns());
	while (members_owed() != INT64_MAX)
		loop_once(members_owed());
	ends_probe();
	say_settings_at_end();
	say_who_left();
	rec_begin("end");
	rec_str("reason", reason);
	rec_int("step", step);
	rec_int("agent_rss_kb", own_rss_kb());
	say_counted();
	say_totals();
	rec_int("kernel_left_out", kmsg_left_out());
	say_ends();
	rec_end();
}

int run_plan(void)
{
	kmsg_relay();
	may_take(0);	/* while there is memory: it notes how much there is in reserve */
	for (int i = 0; i < plan.count; i++) {
		struct step *step = &plan.steps[i];
		enum outcome outcome = branch_before(i) ? STEP_BRANCHED : run_step(i, step);

		if (outcome == STEP_BRANCHED) {
			if (!branch_here(i)) {
				say_end("bad-continuation", i);
				return 1;
			}
			i--;	/* the first step of the continuation has the index of the step that it replaces */
			continue;
		}
		if (outcome == STEP_END) {
			say_end(word(step, "reason") ?: "plan", i);
			return 0;
		}
		if (outcome == STEP_FAILED && !step->go_on) {
			say_end("step-failed", i);
			return 1;
		}
	}
	say_end("plan", plan.count - 1);
	return 0;
}

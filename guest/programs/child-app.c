// SPDX-License-Identifier: MIT
/*
 * child-app: prints each change on its standard output and then sends its reader a signal, as a web server notifies a
 * routing daemon that an address has changed. It does not know what its standard output is.
 */
#include <getopt.h>

#include "phases.h"

static const char help[] =
	"usage: child-app [options]\n"
	"Writes 'change 1', 'change 2', ... to standard output; after each it sends a signal to the process NOTIFY_PID of\n"
	"the environment.\n"
	"\n"
	"  --changes N    how many (10)\n"
	"  --every TIME   the pause before each (1s)\n"
	"  --signal HOW   rt (default): SIGRTMIN, which is queued; usr1: SIGUSR1, of which only one can be pending\n"
	"Exit status: 0 done, 64 usage error, 71 a write or a signal was refused.\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "changes", required_argument, NULL, 'n' }, { "every", required_argument, NULL, 'e' },
		{ "signal", required_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	const char *notify = getenv("NOTIFY_PID");
	int64_t every = 1000000000;
	int option, sig = SIGRTMIN;
	long changes = 10;
	pid_t reader;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'n': changes = number_of("--changes", optarg, 1, 1000000); break;
		case 'e': every = duration_of("--every", optarg); break;
		case 's':
			if (strcmp(optarg, "rt") != 0 && strcmp(optarg, "usr1") != 0)
				usage_error("--signal: '%s' is neither rt nor usr1", optarg);
			sig = strcmp(optarg, "rt") == 0 ? SIGRTMIN : SIGUSR1;
			break;
		case 'h': fputs(help, stdout); return 0;
		default: usage_error("child-app takes no such option");
		}
	}
	if (optind != argc)
		usage_error("'%s' is not an option", argv[optind]);
	reader = notify ? (pid_t)number_of("NOTIFY_PID", notify, 2, 4194304) : 0;
	take_role("child_app");
	for (long change = 1; change <= changes; change++) {
		sleep_for(every);
		say("change %ld", change);
		if (reader && kill(reader, sig))
			return EXIT_REFUSED;
	}
	return 0;
}

# SPDX-License-Identifier: MIT
"""cow_writer: a parent fills an array and forks; the child then writes to it, a few megabytes at a time.

The same lines and phases as programs/cow-writer.c. What differs is Python: the interpreter's own objects
are copied on write too, because reading an object changes its reference count.
"""

import os
import signal
import sys

import phases

DESCRIPTION = """\
A parent fills an array and forks. The child writes to the array step by step, and each page that it
writes is copied for it, because the parent still needs the old one."""

EPILOG = """\
Phases, each a line after which the process stops until SIGCONT:
  parent: 'region array START LENGTH', 'filled BYTES' (stops), 'forked PID' (waits for the child)
  child:  'prefaulted BYTES' (with --touch; stops), 'child ready' (stops), 'step K BYTES' ..., 'done'
  parent: 'child exited CODE' or 'child killed SIGNAL'
Exit status: 0 done (whatever became of the child), 64 wrong call, 71 the kernel refused: 'mmap: ENOMEM',
'fork: ENOMEM'. madvise and clone need the program in C: python3-minimal has neither mmap nor ctypes."""


def read_options():
    parser = phases.Parser(
        prog="cow_writer.py",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=phases.argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--size", type=phases.size_of, default=200 << 20, help="the array (200M)")
    parser.add_argument(
        "--step", type=phases.size_of, default=4 << 20, help="what the child writes in a step (4M)"
    )
    parser.add_argument(
        "--every", type=phases.duration_of, default=30.0, help="the pause before each step (30s)"
    )
    parser.add_argument("--steps", type=int, default=0, help="how many steps (as many as the array has)")
    parser.add_argument("--touch", choices=["none", "read", "write"], default="none",
                        help="what the child does with every page right after its start (none)")  # fmt: skip
    parser.add_argument("--no-stop", action="store_true", help="do not stop after each phase")
    options = parser.parse_args()
    for size in (options.size, options.step):
        if size < phases.PAGE or size % phases.PAGE:
            parser.error(f"--size and --step are whole pages of {phases.PAGE} bytes, at least one")
    if options.steps < 0:
        parser.error("--steps is not negative")
    return options


def phase_ends(options):
    if not options.no_stop:
        phases.stop_here()


def prefault(pages, options):
    if options.touch == "none":
        return
    for page in range(pages.count):
        if options.touch == "write":
            pages.write(page, 2)
        else:
            pages.read(page)
    phases.say(f"prefaulted {pages.count * phases.PAGE}")
    phase_ends(options)


def child(pages, options):
    phases.take_role("child")
    prefault(pages, options)
    phases.say("child ready")
    phase_ends(options)
    per_step = options.step // phases.PAGE
    page = step = 0
    while page < pages.count and (not options.steps or step < options.steps):
        step += 1
        phases.sleep_for(options.every)
        end = min(page + per_step, pages.count)
        for each in range(page, end):
            pages.write(each, step + 2)
        page = end
        phases.say(f"step {step} {page * phases.PAGE}")
    phases.say("done")


def parent(options):
    phases.take_role("parent")
    pages = phases.Pages("array", options.size)
    for page in range(pages.count):
        pages.write(page, 1)
    phases.say(f"filled {pages.count * phases.PAGE}")
    phase_ends(options)
    try:
        pid = os.fork()
    except OSError as error:
        phases.refused("fork", error)
    if pid == 0:
        child(pages, options)
        os._exit(0)
    phases.say(f"forked {pid}")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status < 0:
        phases.say(f"child killed {signal.Signals(-status).name.removeprefix('SIG')}")
    else:
        phases.say(f"child exited {status}")


parent(read_options())
sys.exit(0)

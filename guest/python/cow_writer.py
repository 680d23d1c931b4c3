# SPDX-License-Identifier: MIT
"""cow_writer: a parent fills an array and forks; the child then writes to it, a few megabytes at a time.

The same lines and phases as programs/cow-writer.c. What differs is Python: the interpreter's own objects
are copied on write too, because reading an object changes its reference count.
"""

import os

import phases

HELP = """\
usage: cow_writer.py [options]
A parent fills an array and forks. The child writes to the array step by step, and each page that it
writes is copied for it, because the parent still needs the old one.

  --size SIZE    the array (200M)
  --step SIZE    what the child writes in a step (4M); new pages each step
  --every TIME   the pause before each step (30s; 0: none)
  --steps N      how many steps (as many as the array has)
  --touch HOW    right after its start the child touches every page (none): read, or write
  --told         when the writing begins, read step and pace as a line of standard input: 'step=4M every=30s'
  --no-stop      do not stop after each phase

Phases, each a line after which the process stops until SIGCONT:
  parent: 'region array START LENGTH', 'filled BYTES' (stops), 'forked PID' (waits for the child)
  child:  'prefaulted BYTES' (with --touch; stops), 'child ready' (stops), 'step K BYTES' ..., 'done'
  parent: 'child exited CODE' or 'child killed SIGNAL'
Exit status: 0 done (whatever became of the child), 64 usage error, 71 the kernel refused: 'mmap: ENOMEM',
'fork: ENOMEM'. madvise and clone need the program in C: python3-minimal has neither mmap nor ctypes.
"""

OPTIONS = {
    "size": (phases.size_of, 200 << 20),
    "step": (phases.size_of, 4 << 20),
    "every": (phases.duration_of, 30.0),
    "steps": (phases.number_of, 0),
    "touch": (phases.choice_of("none", "read", "write"), "none"),
    "told": (None, False),
    "no-stop": (None, False),
}


def phase_ends(options):
    if not options["no-stop"]:
        phases.stop_here()


def prefault(pages, options):
    if options["touch"] == "none":
        return
    for page in range(pages.count):
        if options["touch"] == "write":
            pages.write(page, 2)
        else:
            pages.read(page)
    phases.say(f"prefaulted {pages.count * phases.PAGE}")
    phase_ends(options)


def check_sizes(options):
    for size in (options["size"], options["step"]):
        if size < phases.PAGE or size % phases.PAGE:
            phases.usage_error(f"--size and --step are whole pages of {phases.PAGE} bytes, at least one")


def be_told(options):
    """Read step and pace at the phase that uses them, so that a guest which was saved before can go on with others."""
    words = os.read(0, 255).decode().split()
    if not words:
        phases.usage_error("--told: nobody says a line on standard input")
    for word in words:
        name, _, text = word.partition("=")
        if name not in ("step", "every"):
            phases.usage_error(f"--told: '{word}' is neither step= nor every=")
        options[name] = OPTIONS[name][0](name, text)
    check_sizes(options)


def child(pages, options):
    phases.take_role("child")
    prefault(pages, options)
    phases.say("child ready")
    phase_ends(options)
    if options["told"]:
        be_told(options)
    per_step = options["step"] // phases.PAGE
    done = step = 0
    while done < pages.count and (not options["steps"] or step < options["steps"]):
        step += 1
        phases.sleep_for(options["every"])
        end = min(done + per_step, pages.count)
        for page in range(done, end):
            pages.write(page, step + 2)
        done = end
        phases.say(f"step {step} {done * phases.PAGE}")
    phases.say("done")


def parent(options):
    phases.take_role("parent")
    pages = phases.Pages("array", options["size"])
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
        phases.say(f"child killed {phases.signal_name(-status)}")
    else:
        phases.say(f"child exited {status}")


options, _ = phases.read_options(HELP, OPTIONS)
check_sizes(options)
parent(options)

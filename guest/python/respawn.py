# SPDX-License-Identifier: MIT
"""respawn: one main process and its tasks; whichever ends is born again. The lines of programs/respawn.c."""

import os

import phases
from phases import say, signal

HELP = """\
usage: respawn.py [options]
A main process keeps N tasks alive. Each has a slot; when a task ends, a new one takes its slot.

  --tasks N      how many (5)
  --grow SIZE    what a task takes when it gets SIGUSR2 (64M)
  --pause TIME   before a task is born again (0s): a supervisor that does not wait can spin

Lines: 'born SLOT PID' (the main process), 'task SLOT ready' (the task), 'died SLOT PID exited CODE' or
'died SLOT PID killed SIGNAL', 'growing SLOT', 'grown SLOT', 'stopped' at the end.
SIGUSR1 makes a task exit with 3; SIGTERM to the main process ends all. The main process is 'main', the tasks are
'task1', ...
Exit status: 0 stopped, 64 usage error, 71 the kernel refused: 'fork: EAGAIN'.
"""

OPTIONS = {
    "tasks": (phases.number_of, 5),
    "grow": (phases.size_of, 64 << 20),
    "pause": (phases.duration_of, 0.0),
}
FOR_TASKS = {signal.SIGUSR1, signal.SIGUSR2}
FOR_MAIN = {signal.SIGCHLD, signal.SIGTERM}


def task(slot):
    """Wait for orders. sigwait takes one blocked signal at a time: no handler, no race."""
    phases.take_role(f"task{slot}")
    signal.pthread_sigmask(signal.SIG_SETMASK, FOR_TASKS)
    say(f"task {slot} ready")
    held = []
    while True:
        if signal.sigwait(FOR_TASKS) == signal.SIGUSR1:
            os._exit(3)
        say(f"growing {slot}")
        held.append(b"x" * options["grow"])
        say(f"grown {slot}")


def give_birth(slot):
    try:
        pid = os.fork()
    except OSError as error:
        phases.refused("fork", error)
    if pid == 0:
        task(slot)
    slots[pid] = slot
    say(f"born {slot} {pid}")


def bury(pid, status, again):
    slot = slots.pop(pid)
    code = os.waitstatus_to_exitcode(status)
    say(f"died {slot} {pid} " + (f"exited {code}" if code >= 0 else f"killed {phases.signal_name(-code)}"))
    if again:
        phases.sleep_for(options["pause"])
        give_birth(slot)


def bury_all():
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        bury(pid, status, True)


options, _ = phases.read_options(HELP, OPTIONS)
if not 1 <= options["tasks"] <= 9:
    phases.usage_error("--tasks is a number from 1 to 9")
phases.take_role("main")
slots = {}  # pid -> slot
signal.pthread_sigmask(signal.SIG_BLOCK, FOR_MAIN | FOR_TASKS)
for each in range(1, options["tasks"] + 1):
    give_birth(each)
while signal.sigwait(FOR_MAIN) != signal.SIGTERM:
    bury_all()
for pid in list(slots):
    os.kill(pid, signal.SIGKILL)
while slots:
    bury(*os.waitpid(-1, 0), False)
say("stopped")

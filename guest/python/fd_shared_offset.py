# SPDX-License-Identifier: MIT
"""fd_shared_offset: fork copies descriptors, not open files. The lines and phases of programs/fd-shared-offset.c."""

import fcntl
import os

import phases

HELP = """\
usage: fd_shared_offset.py [options] FILE
Opens FILE read-only and forks. The parent reads some characters, then the child reads as many: it goes on where
the parent stopped.

  --count N    how many characters each reads (29)
  --reopen     contrast: the child opens FILE again after the fork, and starts at the beginning
  --no-stop    do not stop after each phase

Phases, each a line after which the process stops until SIGCONT:
  'opened FD' (parent stops), 'forked PID', 'child ready FD' (child stops),
  'parent read TEXT' (parent stops), 'child read TEXT' (child stops),
  'child set NONBLOCK', 'child write: EBADF' (after asking for O_RDWR by F_SETFL; child stops, then ends),
  'parent flags NONBLOCK' or 'parent flags none'
os.read is read(2). Python's own file objects read ahead into a buffer: there the offset of the descriptor is not
what the program has seen.
Exit status: 0 done, 64 usage error, 71 the kernel refused.
"""

OPTIONS = {"count": (phases.number_of, 29), "reopen": (None, False), "no-stop": (None, False)}


def phase_ends():
    if not options["no-stop"]:
        phases.stop_here()


def open_file():
    try:
        return os.open(operands[0], os.O_RDONLY)
    except OSError as error:
        phases.refused("open", error)


def read_some(who, fd):
    text = os.read(fd, options["count"]).decode("ascii", "replace")
    phases.say(f"{who} read {''.join(c if c.isprintable() else '.' for c in text)}")
    phase_ends()


def nonblock(fd):
    return "NONBLOCK" if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK else "none"


def change_flags(fd):
    """Set a status flag through one descriptor; F_SETFL ignores the access mode, which stays as open made it."""
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_RDWR | os.O_NONBLOCK)
    phases.say(f"child set {nonblock(fd)}")
    try:
        os.write(fd, b"x")
    except OSError as error:
        phases.say(f"child write: {phases.errno.errorcode[error.errno]}")
    else:
        phases.say("child write: done")
    phase_ends()


def child(fd):
    phases.take_role("child")
    if options["reopen"]:
        fd = open_file()
    phases.say(f"child ready {fd}")
    phase_ends()
    read_some("child", fd)
    change_flags(fd)


options, operands = phases.read_options(HELP, OPTIONS, operands=1)
phases.take_role("parent")
fd = open_file()
phases.say(f"opened {fd}")
phase_ends()
if options["no-stop"]:
    read_some("parent", fd)  # nobody orders the two: the parent reads before there is a child
pid = os.fork()
if pid == 0:
    child(fd)
    os._exit(0)
phases.say(f"forked {pid}")
if not options["no-stop"]:
    read_some("parent", fd)
os.waitpid(pid, 0)
phases.say(f"parent flags {nonblock(fd)}")

# SPDX-License-Identifier: MIT
"""snapshot_server: a server whose data is Python objects, and which saves them by fork, as Redis does its dataset.

The child needs no memory of its own as long as neither process writes. But the parent goes on serving writes, and
Python writes even when it only reads: each look at an object changes its reference count, and a garbage collection
touches all of them. So the child that only walks the data copies it.

A collection starts by itself when more containers have been made than gc.get_threshold() says and one more is made that
no free list of the interpreter holds ready; since 3.12 it comes at the next loop or call (CPython's gh-97922). Which
line of a program that is differs by version: the arguments of min() were such a tuple until 3.12, and since 3.13 there
is none (gh-90350). So the parent makes enough of them at one place, whatever Python it is.
"""

import gc
import os

import phases
from phases import say

HELP = """\
usage: snapshot_server.py [options]
Fills a table of objects, forks a child that walks over all of them (the snapshot), and goes on: its garbage collector
is on from then, it serves requests until that has run, and changes some objects. The child's stays off.

  --size SIZE      about how much memory the table takes (64M)
  --writes N       how many objects the parent changes while the snapshot runs (0)
  --how HOW        what the child does: walk (default; looks at every object), collect (a garbage collection),
                   nothing
  --freeze         gc.freeze() before the fork: the collector leaves the table's objects alone from then on
  --bytes          the values are one large bytes object instead: walking it touches no reference count
  --no-stop        do not stop after each phase

Phases, each a line after which the process stops until SIGCONT:
  parent: 'region table START LENGTH', 'filled OBJECTS' (stops), 'forked PID', 'wrote N'
  child:  'child ready' (stops), 'snapshot OBJECTS' (stops; how much it holds of its own is what to look at), 'done'
  parent: 'child exited CODE' or 'child killed SIGNAL'
Exit status: 0 done, 64 usage error, 71 the kernel refused: 'fork: ENOMEM'.
"""

OPTIONS = {
    "size": (phases.size_of, 64 << 20),
    "writes": (phases.number_of, 0),
    "how": (phases.choice_of("walk", "collect", "nothing"), "walk"),
    "freeze": (None, False),
    "bytes": (None, False),
    "no-stop": (None, False),
}
# A list of one float: 64 bytes of list with its collector's header and item, 24 of float, 8 in the table.
OBJECT_BYTES = 112


def phase_ends():
    if not options["no-stop"]:
        phases.stop_here()


def fill():
    if options["bytes"]:
        return b"x" * options["size"]
    return [[float(i)] for i in range(options["size"] // OBJECT_BYTES)]


def snapshot(table):
    if options["how"] == "collect":
        gc.collect()
    elif options["how"] == "walk":
        if options["bytes"]:
            table.count(b"y")
        else:
            for entry in table:
                entry[0]
    say(f"snapshot {len(table)}")


def serve():
    """Make as many containers as start the garbage collector, as a server does sooner or later, and drop them."""
    requests = [[number] for number in range(gc.get_threshold()[0] + 1)]
    requests.clear()


def child(table):
    phases.take_role("child")
    say("child ready")
    phase_ends()
    snapshot(table)
    phase_ends()
    say("done")


options, _ = phases.read_options(HELP, OPTIONS)
phases.take_role("parent")
gc.disable()  # it would run many times while the table grows, and before the fork or in the child unasked
try:
    table = fill()
except MemoryError as error:
    phases.refused("mmap", error)
if options["freeze"]:
    gc.freeze()
# In CPython an object's id is its address. The interpreter's arenas lie side by side, in few mappings.
sampled = [table] if options["bytes"] else table[:: max(len(table) // 64, 1)]
phases.say_mappings("table", [id(each) for each in sampled])
say(f"filled {len(table)}")
phase_ends()
try:
    pid = os.fork()
except OSError as error:
    phases.refused("fork", error)
if pid == 0:
    child(table)
    os._exit(0)
say(f"forked {pid}")
gc.enable()
serve()
if not options["bytes"]:
    for i in range(min(options["writes"], len(table))):
        table[i] = [0.0]
say(f"wrote {options['writes']}")
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
say(f"child exited {code}" if code >= 0 else f"child killed {phases.signal_name(-code)}")

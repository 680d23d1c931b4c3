"""A server that holds objects and saves them by fork: the child has a picture of the moment, the parent goes on.

The child does what its --child says with every object, and writes to none. What it copies all the same is what
the interpreter writes: reference counts when an object is looked at, and the collector's marks.
"""

import argparse
import gc
import os
import signal
import sys


def say(line: str) -> None:
    print(line, flush=True)


def take_role(name: str) -> None:
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Holds objects, forks, and lets the child look at them.")
    parser.add_argument("--objects", type=int, default=200000, help="how many records the server holds")
    parser.add_argument("--store", choices=["objects", "bytes"], default="objects", help="records as lists, or one array")
    parser.add_argument("--child", choices=["idle", "read", "collect"], default="read", help="what the child does")
    parser.add_argument("--freeze", action="store_true", help="gc.freeze() before the fork")
    return parser.parse_args()


def fill(options: argparse.Namespace):
    if options.store == "bytes":
        return bytearray(options.objects * 160)
    # A list of its own a record, and numbers that are not shared among them: what a cache of rows looks like.
    return [[number + 1000, number + 2000000, str(number)] for number in range(options.objects)]


def look(store) -> int:
    if isinstance(store, bytearray):
        return sum(memoryview(store)[at] for at in range(0, len(store), 160))
    return sum(record[0] for record in store)


def child(store, options: argparse.Namespace) -> None:
    take_role("child")
    say("child ready")
    stop()
    if options.child == "read":
        look(store)
    elif options.child == "collect":
        gc.collect()
    say(f"child did {options.child}")
    stop()


def main() -> int:
    options = read_options()
    take_role("parent")
    store = fill(options)
    if options.freeze:
        gc.collect()
        gc.freeze()
    say("filled")
    stop()
    # The child must not collect by chance: only where it is told to.
    gc.disable()
    pid = os.fork()
    if pid == 0:
        child(store, options)
        os._exit(0)
    say(f"forked {pid}")
    _, status = os.waitpid(pid, 0)
    say(f"child ended {status}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""cow-writer in Python: a parent fills an array and forks; the child then writes to it, a few megabytes at a time.

The phases, the lines and the roles are those of cow-writer.c. What differs is the language: the array is one
bytearray, and os.fork() shares it, and the interpreter, with the child.
"""

import argparse
import errno
import os
import signal
import sys
import time


def size(text: str) -> int:
    """Bytes, a whole number of pages."""
    value = int(text)
    if value <= 0 or value % PAGE:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of pages of {PAGE} bytes")
    return value


PAGE = os.sysconf("SC_PAGESIZE")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A parent fills an array and forks; the child writes to it.")
    parser.add_argument("--size", type=size, default=200 << 20, help="bytes of the array")
    parser.add_argument("--step", type=size, default=4 << 20, help="bytes that the child writes in a step")
    parser.add_argument("--every", type=float, default=30.0, help="seconds before each step")
    return parser.parse_args()


def take_role(name: str) -> None:
    """Name this process, so that the kernel's report speaks of a parent and a child."""
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)


def phase_ends(line: str) -> None:
    print(line, flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)


def write(array: bytearray, start: int, end: int, value: int) -> None:
    """One byte a page: it is the page that the kernel copies, not the byte."""
    for at in range(start, end, PAGE):
        array[at] = value


def child(array: bytearray, step: int, every: float) -> None:
    take_role("child")
    phase_ends("child ready")
    for number, start in enumerate(range(0, len(array), step), 1):
        time.sleep(every)
        end = min(start + step, len(array))
        write(array, start, end, number % 256)
        print(f"step {number} {end}", flush=True)
    print("done", flush=True)


def main() -> int:
    call = options()
    take_role("parent")
    # calloc gives pages that are not there yet: writing to each makes it ours.
    array = bytearray(call.size)
    write(array, 0, len(array), 1)
    phase_ends(f"filled {len(array)}")
    try:
        pid = os.fork()
    except OSError as error:
        print(f"fork: {errno.errorcode.get(error.errno or 0, error.errno)}", file=sys.stderr, flush=True)
        return 71  # EX_OSERR
    if pid == 0:
        child(array, call.step, call.every)
        os._exit(0)
    print(f"forked {pid}", flush=True)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        print(f"child killed {signal.Signals(os.WTERMSIG(status)).name}", flush=True)
    else:
        print(f"child exited {os.WEXITSTATUS(status)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

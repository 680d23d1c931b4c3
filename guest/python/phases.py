# SPDX-License-Identifier: MIT
"""What the Python programs share with the C ones (programs/phases.h): lines, phases, sizes, exit statuses.

Only what Debian's python3-minimal has: no mmap, no ctypes, no resource.
"""

import argparse
import errno
import os
import re
import signal
import sys
import time
from array import array

EXIT_USAGE = 64
EXIT_REFUSED = 71
PAGE = os.sysconf("SC_PAGESIZE")

_SHIFTS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SECONDS = {"": 1, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "m": 60, "min": 60, "h": 3600}


def say(line):
    """One write a line: what was said is out, also when the next page fault is the last."""
    os.write(1, line.encode() + b"\n")


def stop_here():
    """End a phase: the plan looks at us now, and sends SIGCONT when it has seen enough."""
    os.kill(os.getpid(), signal.SIGSTOP)


def refused(call, error):
    """Say "fork: ENOMEM", and end."""
    code = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
    say(f"{call}: {errno.errorcode.get(code, code)}")
    os._exit(EXIT_REFUSED)


def take_role(name):
    """Set the name that the kernel's report will show: PR_SET_NAME needs ctypes, this file does the same."""
    comm = os.open("/proc/self/comm", os.O_WRONLY)
    os.write(comm, name.encode())
    os.close(comm)


def size_of(text):
    match = re.fullmatch(r"(\d+)([KMGT]?)", text, re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a size: write a number and one of K, M, G or T, as in 200M"
        )
    return int(match[1]) << _SHIFTS[match[2].upper()]


def duration_of(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ns|us|ms|s|min|m|h|)", text)
    if not match:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a duration: write a number and one of ms, s, min or h, as in 30s"
        )
    return float(match[1]) * _SECONDS[match[2]]


class Parser(argparse.ArgumentParser):
    """argparse exits with 2 on a wrong call; sysexits.h calls that 64."""

    def error(self, message):
        sys.stderr.write(f"{message}; --help says more\n")
        sys.exit(EXIT_USAGE)


class Pages:
    """An array of whole pages whose address is known: array.buffer_info() gives it, bytearray does not.

    malloc puts a few bytes of its own in front of the buffer, so one page more is asked for, and the array
    starts at the next page.
    """

    def __init__(self, name, size):
        self.count = size // PAGE
        words = (self.count + 1) * PAGE // 8
        try:
            self._words = array("Q", [0]) * words
        except MemoryError as error:
            refused("mmap", error)
        address = self._words.buffer_info()[0]
        start = -(-address // PAGE) * PAGE
        self._first = (start - address) // 8
        say(f"region {name} {start:x} {self.count * PAGE:x}")

    def write(self, page, tag):
        """Write a word that no other page holds."""
        self._words[self._first + page * (PAGE // 8)] = tag << 32 | (page + 1)

    def read(self, page):
        return self._words[self._first + page * (PAGE // 8)]


def sleep_for(seconds):
    if seconds:
        time.sleep(seconds)

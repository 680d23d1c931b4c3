# SPDX-License-Identifier: MIT
"""What the Python programs share with the C ones (programs/phases.h): lines, phases, sizes, exit statuses.

Only what Debian's python3-minimal has: no mmap, no ctypes, no resource. And only what costs little to import: its
modules come as source and are compiled at each start, and an emulated guest took 3.2 s for argparse, re and signal
(which brings enum). So the options are read here, and signals come from the interpreter's own _signal.
"""

import _signal as signal
import errno
import os
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


def usage_error(message):
    sys.stderr.write(f"{message}; --help says more\n")
    sys.exit(EXIT_USAGE)


def say_mappings(name, addresses):
    """Print the range of the mappings that hold these addresses as a region, for the plan's page maps."""
    bounds = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            start, end = (int(bound, 16) for bound in line.split()[0].split("-"))
            if any(start <= address < end for address in addresses):
                bounds += [start, end]
    say(f"region {name} {min(bounds):x} {max(bounds) - min(bounds):x}")


def take_role(name):
    """Set the name that the kernel's report will show: PR_SET_NAME needs ctypes, this file does the same."""
    comm = os.open("/proc/self/comm", os.O_WRONLY)
    os.write(comm, name.encode())
    os.close(comm)


def signal_name(number):
    """Return KILL for 9."""
    for name in dir(signal):
        if name.startswith("SIG") and not name.startswith("SIG_") and getattr(signal, name) == number:
            return name[3:]
    return str(number)


def _split(text):
    """Return the number and the unit of 200M."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return digits, text[len(digits) :]


def size_of(option, text):
    """Return bytes for 4096, 64K, 200M, 1G."""
    digits, unit = _split(text)
    if not (digits.isascii() and digits.isdigit()) or unit.upper() not in _SHIFTS:
        usage_error(f"{option}: '{text}' is not a size: write a number and one of K, M, G or T, as in 200M")
    return int(digits) << _SHIFTS[unit.upper()]


def duration_of(option, text):
    """Return seconds for 30s, 500ms, 2min, 1.5."""
    digits, unit = _split(text)
    if not digits.replace(".", "", 1).isdigit() or unit not in _SECONDS:
        usage_error(f"{option}: '{text}' is not a duration: write a number and one of ms, s, min or h, as in 30s")
    return float(digits) * _SECONDS[unit]


def number_of(option, text):
    if not text.isdigit():
        usage_error(f"{option}: '{text}' is not a number")
    return int(text)


def choice_of(*choices):
    def read(option, text):
        if text not in choices:
            usage_error(f"{option}: '{text}' is none of {', '.join(choices)}")
        return text

    return read


def read_options(help_text, options, operands=0):
    """Return ({name: value}, [operand]) of the command line.

    options: name -> (reader, default), or (None, False) for one without a value. A reader takes the option's name
    and its text. `--name VALUE` and `--name=VALUE` are the same.
    """
    values = {name: default for name, (_, default) in options.items()}
    rest = []
    words = sys.argv[1:]
    while words:
        word = words.pop(0)
        name, equals, text = word[2:].partition("=")
        if word == "--help":
            sys.stdout.write(help_text)
            sys.exit(0)
        if not word.startswith("--"):
            rest.append(word)
        elif name not in options:
            usage_error(f"there is no option --{name}")
        elif options[name][0] is None:
            values[name] = True
        elif equals or words:
            values[name] = options[name][0](f"--{name}", text if equals else words.pop(0))
        else:
            usage_error(f"--{name} needs a value")
    if len(rest) != operands:
        usage_error(f"{len(rest)} operands where there should be {operands}")
    return values, rest


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

# SPDX-License-Identifier: MIT
"""What a guest whose console is hvc0 prints on ttyS0: all of its boot until it has the driver, and seldom more."""

from __future__ import annotations

import contextlib
from pathlib import Path

from rig.whole_file import write_whole

__all__ = ["SERIAL_LOG", "keep_serial", "unheard"]

SERIAL_LOG = "serial.log"


def keep_serial(serial: Path, console: Path, *, booted: bool) -> None:
    """Put what ttyS0 printed in a boot in front of what hvc0 printed; later output stays in a file of its own.

    In a boot both have the lines from the moment that the kernel printed on hvc0 until the agent took ttyS0 off: they
    are wanted once. Later a program that runs as root may have put ttyS0 back, and what it prints there replaces
    nothing. On a full disk both files stay as they are.
    """
    with contextlib.suppress(OSError):
        first = serial.read_bytes()
        last = first.rstrip(b"\r\n").rpartition(b"\n")[2]
        if last and not booted:
            return
        if last:
            second = console.read_bytes()
            both = second.rfind(last + b"\r\n")
            write_whole(console, first + (second if both < 0 else second[both + len(last) + 2 :]))
        serial.unlink()


def unheard(line: bytes) -> None:
    """Take a line that the console has, too, or will have."""

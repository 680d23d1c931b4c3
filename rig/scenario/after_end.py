# SPDX-License-Identifier: MIT
"""Tell which reports the kernel may have printed after the agent's `end`, when nobody reads /dev/kmsg any more.

Programs run on until the kernel switches the machine off, and drivers are shut down: either may cause a report.
"""

from __future__ import annotations

import os
import re
from typing import BinaryIO

from rig.klog import Event
from rig.scenario.evidence import Evidence

__all__ = ["find_last_time", "may_be_after_end"]

TAIL = 4096
"""Bytes at the end of a console in which the kernel's last line is looked for: a line has at most 1,024 before 6.4 and
2,048 since (CONSOLE_LOG_MAX and PRINTK_MESSAGE_MAX, kernel/printk/)."""
LONGEST_SHUTDOWN = 1.0
"""Seconds from `end` to the power-off within which a report is taken for one of the shutdown, which takes about 12 ms.
A program that has turned the console off can print the last line itself, with any time."""
TIME = re.compile(rb"^\[ *(\d+\.\d{6})\]", re.MULTILINE)


def find_last_time(console: BinaryIO) -> float | None:
    """Return the time of the last line with one, in seconds of printk's clock, or None.

    It is the kernel's own, "reboot: Power down", unless a program has turned the console off.
    """
    console.seek(max(0, console.seek(0, os.SEEK_END) - TAIL))
    times = TIME.findall(console.read())
    return float(times[-1]) if times else None


def may_be_after_end(evidence: Evidence, report: Event) -> bool:
    """Return whether a report's time lies between the agent's `end` and the last line of the console.

    A program that knows when the plan ends may print such a time, so a report of that time is never confirmed.
    """
    end = evidence.end()
    if end is None or report.time is None or evidence.console_ends_at is None:
        return False
    ended = float(end["t"])
    return ended < report.time <= min(evidence.console_ends_at, ended + LONGEST_SHUTDOWN)

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
TIME = re.compile(rb"^\[ *(\d+\.\d{6})\]", re.MULTILINE)


def find_last_time(console: BinaryIO) -> float | None:
    """Return the time of the last line with one, in seconds of printk's clock, or None.

    It is the kernel's own where the machine was switched off: no program runs after "reboot: Power down".
    """
    console.seek(max(0, console.seek(0, os.SEEK_END) - TAIL))
    times = TIME.findall(console.read())
    return float(times[-1]) if times else None


def may_be_after_end(evidence: Evidence, report: Event) -> bool:
    """Return whether a report's time lies between the agent's `end` and the last line of the console.

    A program may print any time, but it does not know those two before they have passed.
    """
    end = evidence.end()
    if end is None or report.time is None or evidence.console_ends_at is None:
        return False
    return float(end["t"]) < report.time <= evidence.console_ends_at

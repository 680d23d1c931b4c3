# SPDX-License-Identifier: MIT
"""The clock of a guest that stands still, as its kernel keeps it: ticks, and what CLOCK_MONOTONIC was at one of them.

The agent's records and the kernel's log carry CLOCK_MONOTONIC. Ticks alone lag behind it by what early boot took before
the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError
from rig.image.bootfile import boot_config
from rig.image.elf import symbol_addresses
from rig.image.kconfig import read_config
from rig.image.symbols import Symbols
from rig.machine.gdbstub import DebugPort
from rig.machine.memory import member_offset, variable_member_offset

__all__ = ["TickClock", "read_tick_clock"]

DEFAULT_HERTZ = 250
"""CONFIG_HZ of Debian's kernels."""


@dataclass(frozen=True)
class TickClock:
    """jiffies: the counter's address; hertz: ticks a second; at tick `ticks` the clock was `nanoseconds`."""

    jiffies: int
    hertz: int
    ticks: int
    nanoseconds: int

    async def seconds(self, port: DebugPort) -> float:
        """Return the clock at the last tick that was counted."""
        since = await port.number(self.jiffies) - self.ticks
        return self.nanoseconds / 1e9 + since / self.hertz


async def read_tick_clock(port: DebugPort, kernel: Path, symbols: Symbols) -> TickClock:
    """Return the clock. kernel: its image, beside which its configuration lies. Raises RigError for a kernel without.

    The time of the last tick is ktime_get() without what went by since (kernel/time/timekeeping.c): tkr_mono.base plus
    tkr_mono.xtime_nsec, shifted.
    """
    found = symbol_addresses(symbols.vmlinux, ("jiffies_64", "tk_core"))
    if missing := {"jiffies_64", "tk_core"} - found.keys():
        raise RigError(f"the kernel has no {min(missing)}", where=symbols.vmlinux)
    vmlinux = symbols.vmlinux
    mono = found["tk_core"] + variable_member_offset(vmlinux, "tk_core", "timekeeper")
    mono += member_offset(vmlinux, "struct timekeeper", "tkr_mono")
    shift = await port.number(mono + member_offset(vmlinux, "struct tk_read_base", "shift"), 4)
    fraction = await port.number(mono + member_offset(vmlinux, "struct tk_read_base", "xtime_nsec"))
    base = await port.number(mono + member_offset(vmlinux, "struct tk_read_base", "base"))
    ticks = await port.number(found["jiffies_64"])
    return TickClock(found["jiffies_64"], _hertz(kernel), ticks, base + (fraction >> shift))


def _hertz(kernel: Path) -> int:
    config = boot_config(kernel)
    return int(read_config(config).get("HZ", DEFAULT_HERTZ)) if config is not None else DEFAULT_HERTZ

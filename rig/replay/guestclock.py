# SPDX-License-Identifier: MIT
"""CLOCK_MONOTONIC of a stopped guest, read from its memory: jiffies, and the clock's value at one tick.

The agent's records and the kernel log carry CLOCK_MONOTONIC. jiffies alone lags behind it by the time that early boot
took before the first tick.
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

TIMEKEEPERS = ("tk_core", "timekeeper_data")
"""Variables of kernel/time/timekeeping.c that hold the system's timekeeper.

Since 6.17 (commit 22c62b9a84b8) tk_core is a macro: element TIMEKEEPER_CORE, the first, of the array timekeeper_data.
"""


@dataclass(frozen=True)
class TickClock:
    """A conversion from jiffies to CLOCK_MONOTONIC.

    jiffies: address of the counter.
    hertz: ticks a second (CONFIG_HZ).
    ticks, nanoseconds: a value of jiffies, and CLOCK_MONOTONIC at that tick.
    """

    jiffies: int
    hertz: int
    ticks: int
    nanoseconds: int

    async def seconds(self, port: DebugPort) -> float:
        """Return CLOCK_MONOTONIC at the last tick, in seconds."""
        since = await port.number(self.jiffies) - self.ticks
        return self.nanoseconds / 1e9 + since / self.hertz


async def read_tick_clock(port: DebugPort, kernel: Path, symbols: Symbols) -> TickClock:
    """Return the clock of a stopped guest.

    kernel: path of the kernel image; its configuration lies beside it.
    Raises RigError for a kernel without the symbols that this needs.
    The time of the last tick is ktime_get() (kernel/time/timekeeping.c) without the cycles since that tick:
    tkr_mono.base + (tkr_mono.xtime_nsec >> tkr_mono.shift).
    """
    vmlinux = symbols.vmlinux
    found = symbol_addresses(vmlinux, ("jiffies_64", *TIMEKEEPERS))
    keeper = next((name for name in TIMEKEEPERS if name in found), None)
    if keeper is None or "jiffies_64" not in found:
        missing = "jiffies_64" if keeper else " and no ".join(TIMEKEEPERS)
        raise RigError(f"the kernel has no {missing}", where=vmlinux)
    mono = found[keeper] + variable_member_offset(vmlinux, keeper, "timekeeper")
    mono += member_offset(vmlinux, "struct timekeeper", "tkr_mono")
    shift = await port.number(mono + member_offset(vmlinux, "struct tk_read_base", "shift"), 4)
    fraction = await port.number(mono + member_offset(vmlinux, "struct tk_read_base", "xtime_nsec"))
    base = await port.number(mono + member_offset(vmlinux, "struct tk_read_base", "base"))
    ticks = await port.number(found["jiffies_64"])
    return TickClock(found["jiffies_64"], _hertz(kernel), ticks, base + (fraction >> shift))


def _hertz(kernel: Path) -> int:
    config = boot_config(kernel)
    return int(read_config(config).get("HZ", DEFAULT_HERTZ)) if config is not None else DEFAULT_HERTZ

# SPDX-License-Identifier: MIT
"""The rows of the campaign: each has cases, and a case says in which way rig did not survive it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.faults import damage, disks, guests, inputs, qemu, signals, together
from tests.faults.home import Home

__all__ = ["ROWS", "Row"]

Cases = Callable[[Home, int], Iterator[tuple[str, str]]]


@dataclass(frozen=True)
class Row:
    """A kind of fault.

    cases: yields the name of each case, and what rig did wrong in it (empty: it survived). Its second argument is the
        number of cases to try.
    whole, part: how many are tried by `make faults`, and by `make faults PART=1`.
    bound: whether `whole` is no more than a bound, because the cases are as many as there are files or crafted inputs.
    """

    name: str
    cases: Cases
    whole: int
    part: int
    bound: bool = False

    def too_few(self, tried: int, count: int) -> str:
        """Return that fewer cases were tried than the `count` asked for, or an empty text."""
        least = 1 if self.bound and count == self.whole else count
        return f"{tried} of {least} cases tried" if tried < least else ""


ROWS = (
    Row("signal to a start", signals.start, 150, 6),
    Row("signal to run", signals.run, 20, 2),
    Row("signal to a cold run", signals.cold_run, 20, 0),
    Row("signal to sweep", signals.sweep, 20, 0),
    Row("signal to branch", signals.branch, 20, 0),
    Row("signal to replay", signals.replay, 20, 0),
    Row("signal to export", signals.export, 20, 4),
    Row("signal to import", signals.import_, 20, 4),
    Row("QEMU is killed", qemu.killed, 20, 0),
    Row("QEMU is stopped", qemu.stopped, 20, 0),
    Row("full disk: runs", disks.runs, 20, 0),
    Row("full disk: cache", disks.cache, 20, 0),
    Row("full disk: image build", disks.image_build, 20, 0),
    Row("full disk: branch points", disks.branch_point, 20, 0),
    Row("full disk: sockets and temporary files", disks.runtime, 20, 0),
    Row("full disk: export", disks.export, 20, 2),
    Row("full disk: import", disks.import_, 20, 4),
    Row("read-only cache", disks.read_only, 5, 0),
    Row("damaged file of a run", damage.of_a_run, 10_000, 8, bound=True),
    Row("damaged file of a sweep", damage.of_a_sweep, 10_000, 0, bound=True),
    Row("damaged archive", damage.of_an_archive, 40, 4),
    Row("damaged file of the cache", damage.of_the_cache, 10_000, 0, bound=True),
    Row("damaged kernel or root filesystem", damage.of_what_is_fetched, 10_000, 0, bound=True),
    Row("damaged branch point", damage.of_a_branch_point, 10_000, 0, bound=True),
    Row("damaged part of an imported run", damage.of_imported_parts, 10_000, 0, bound=True),
    Row("damaged root filesystem of a program", damage.of_a_layer, 10_000, 0, bound=True),
    Row("crafted archive", inputs.archives, 10_000, 0, bound=True),
    Row("mutated log", inputs.logs, 3000, 300),
    Row("hostile guest", guests.hostile, 20, 0),
    Row("50 MB of noise from a guest", guests.noise, 4, 0),
    Row("two rigs that want one branch point", together.one_branch_point, 5, 0),
    Row("eight rigs at once, on an empty cache", together.eight, 1, 0),
)

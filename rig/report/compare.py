# SPDX-License-Identifier: MIT
"""Two runs side by side: parameters, environment, claims and their numbers, what differs marked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.report.terminal import LIVE_HAS_LESS, MARKS
from rig.run.document import Claimed, Run
from rig.sanitize import plain
from rig.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["Difference", "compare", "comparison"]

ABSENT = "–"


@dataclass(frozen=True)
class Difference:
    """One line of a comparison: the section, the name, and the value in each run (`–`: the run has none)."""

    section: str
    name: str
    left: str
    right: str

    @property
    def differs(self) -> bool:
        return self.left != self.right


def compare(left: Run, right: Run) -> list[Difference]:
    """Return all lines of the comparison, also those that are equal, in the order in which they are shown."""
    lines = [
        Difference("run", "scenario", left.scenario, right.scenario),
        Difference("run", "verdict", left.verdict, right.verdict),
        Difference("run", "reason", left.reason or ABSENT, right.reason or ABSENT),
    ]
    lines += _mappings("parameter", left.parameters_shown, right.parameters_shown)
    lines += _mappings("sysctl", left.sysctls, right.sysctls)
    lines += _mappings("guest", _guest(left), _guest(right))
    lines += _mappings("ran on", _environment(left), _environment(right))
    lines += _mappings("OOM", _oom(left), _oom(right))
    lines += _claims(left.claims, right.claims)
    lines += _mappings("time", _times(left), _times(right))
    return [line for line in lines if (line.left, line.right) != (ABSENT, ABSENT)]


def comparison(left: Run, right: Run, *, everything: bool = True) -> list[RenderableType]:
    """Return the comparison as tables.

    everything: False leaves out the lines that are equal.
    """
    from rich.text import Text

    lines = compare(left, right)
    shown = [line for line in lines if everything or line.differs]
    table = _table(left.id, right.id)
    section = None
    for line in shown:
        style = "bold yellow" if line.differs else "dim"
        table.add_row(
            "" if line.section == section else line.section,
            plain(line.name),
            Text(plain(line.left), style),
            Text("≠" if line.differs else "", "bold yellow"),
            Text(plain(line.right), style),
        )
        section = line.section
    count = sum(line.differs for line in lines)
    clocks = {run.environment.clock for run in (left, right)}
    note = [Text(LIVE_HAS_LESS, "dim")] if len(clocks) > 1 else []
    return [table, *note, Text(f"{count} of {len(lines)} lines differ")]


def _table(left: str, right: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in ("", "", plain(left), "", plain(right)):
        table.add_column(heading, overflow="fold")
    return table


def _mappings(section: str, left: dict[str, str], right: dict[str, str]) -> Iterable[Difference]:
    for name in dict.fromkeys([*left, *right]):
        yield Difference(section, name, left.get(name, ABSENT), right.get(name, ABSENT))


def _guest(run: Run) -> dict[str, str]:
    return {
        name: str(value) if name == "cpus" else format_size(value)
        for name, value in run.guest.items()
        if value or name in ("memory", "cpus")
    }


def _environment(run: Run) -> dict[str, str]:
    environment = run.environment
    named = {
        "kernel": environment.kernel, "clock": environment.clock, "accelerator": environment.accelerator,
        "QEMU": environment.qemu, "host": environment.host, "rig": environment.rig,
        "image": environment.image_hash[:12],
    }  # fmt: skip
    return {name: value for name, value in named.items() if value}


def _oom(run: Run) -> dict[str, str]:
    found = {"reports": str(len(run.ooms))}
    if run.panic is not None:
        found["panic"] = run.panic
    if run.ooms:
        first = run.ooms[0]
        # Names and not pids, because pids differ between any two runs.
        found["invoked by"] = first.invoker
        found["killed"] = first.victims
        found["path"] = " < ".join(
            frame.function.split(".", 1)[0] for frame in first.frames if frame.reliable and frame.role
        )
    return found


def _claims(left: tuple[Claimed, ...], right: tuple[Claimed, ...]) -> Iterable[Difference]:
    here, there = ({claim.id: claim for claim in claims} for claims in (left, right))
    for name in dict.fromkeys([*here, *there]):
        one, other = here.get(name), there.get(name)
        yield Difference("claims", name, _verdict(one), _verdict(other))
        values = dict.fromkeys(value.name for claim in (one, other) if claim is not None for value in claim.values)
        for value in values:
            yield Difference("claims", f"  {value}", _value(one, value), _value(other, value))


def _verdict(claim: Claimed | None) -> str:
    return ABSENT if claim is None else f"{MARKS[claim.verdict]} {claim.verdict}"


def _value(claim: Claimed | None, name: str) -> str:
    if claim is None:
        return ABSENT
    return next((value.shown for value in claim.values if value.name == name), ABSENT)


def _times(run: Run) -> dict[str, str]:
    times = {"guest": run.guest_seconds, "host": run.host_seconds}
    times |= {f"host, {phase.name}": phase.host_seconds for phase in run.phases}
    return {name: f"{value:.2f} s" for name, value in times.items() if value is not None}

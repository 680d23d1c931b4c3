# SPDX-License-Identifier: MIT
"""Read what the report of a run is made of, with bounds on what a hostile guest may have printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rig.klog.event import Event
from rig.run.document import Run
from rig.run.records import Records
from rig.sanitize import plain

__all__ = ["Source", "read_source"]

LARGEST_READ = 8 << 20
LARGEST_CONSOLE = 256 << 10
LONGEST_LINE = 1000
MOST_LINES = 4000


@dataclass(frozen=True)
class Source:
    """All that a report is made of.

    console: the lines of console.log, bounded in number and length.
    cut: whether some of them are left out.
    """

    run: Run
    records: Records
    events: tuple[Event, ...]
    console: tuple[str, ...]
    cut: bool = False
    damaged: Mapping[str, str] = field(default_factory=dict)
    """File name -> what is wrong with it, for files that are not what the run wrote."""

    @property
    def oom_event(self) -> Any:
        """Return the first OOM event of the kernel's log, or None."""
        return next((event for event in self.events if event.kind == "oom"), None)


def read_source(directory: Path) -> Source:
    """Read a run's directory. Raises RigError for a run.json that cannot be read; other files may be missing."""
    from rig.klog import read
    from rig.run.damage import warn_of_damage
    from rig.run.directory import read_run
    from rig.telemetry.records import read_records

    run = read_run(directory)
    damaged = warn_of_damage(run, directory)
    records = read_records(directory / "events.jsonl") if (directory / "events.jsonl").is_file() else Records()
    console = directory / "console.log"
    if not console.is_file():
        return Source(run, records, (), (), damaged=damaged)
    with console.open("rb") as file:
        events = tuple(read(file).events)
    shown, cut = _shown(console)
    return Source(run, records, events, shown, cut, damaged)


def _shown(console: Path) -> tuple[tuple[str, ...], bool]:
    """Return the console's lines without control characters, bounded in number, and whether some are left out."""
    with console.open("rb") as file:
        head = file.read(LARGEST_READ)
        cut = bool(file.read(1))
    lines: list[str] = []
    left = LARGEST_CONSOLE
    # Split as rig.klog does, because the explanation refers to its line numbers.
    for raw in head.removesuffix(b"\n").split(b"\n"):
        if left <= 0 or len(lines) == MOST_LINES:
            return tuple(lines), True
        text = raw[: 4 * LONGEST_LINE].decode("utf-8", errors="replace").rstrip("\r")
        lines.append(plain(text, longest=LONGEST_LINE))
        left -= len(lines[-1])
    return tuple(lines), cut

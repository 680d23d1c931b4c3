# SPDX-License-Identifier: MIT
"""Stop points of a replay: how a user writes them, and whether the run reaches them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from rig.errors import UsageError
from rig.run.document import Run
from rig.telemetry.records import read_records
from rig.units import parse_duration

__all__ = [
    "KINDS",
    "StopPoint",
    "check_reached",
    "default_stop_point",
    "marks_of",
    "parse_stop_point",
    "recorded_since",
]

KINDS = "oom, panic, fork, start, mark:NAME, t=TIME"


@dataclass(frozen=True)
class StopPoint:
    """A stop point.

    kind: `oom`, `panic`, `fork`, `start`, `mark` or `t` (a time).
    name: name of the mark.
    seconds: guest seconds.
    """

    kind: str
    name: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        if self.kind == "mark":
            return f"mark:{self.name}"
        return f"t={self.seconds:g}s" if self.kind == "t" else self.kind


def parse_stop_point(text: str) -> StopPoint:
    """Parse a stop point. Raises UsageError for a text that is none."""
    if text in ("oom", "panic", "fork", "start"):
        return StopPoint(text)
    if text.startswith("mark:") and len(text) > 5:
        return StopPoint("mark", name=text[5:])
    if text.startswith("t="):
        try:
            return StopPoint("t", seconds=parse_duration(text[2:]))
        except ValueError as error:
            raise UsageError(str(error), where=f"--at {text}", remedy="as in t=275s") from None
    raise UsageError(f"'{text}' is not a stop point", where="--at", remedy=f"one of {KINDS}")


def default_stop_point(run: Run) -> StopPoint:
    """Return the default stop point of a run: its OOM, else its panic, else its start."""
    if run.ooms and not (run.panic and run.recording.path is None):
        return StopPoint("oom")
    return StopPoint("panic") if run.panic else StopPoint("start")


def check_reached(run: Run, directory: Path, point: StopPoint) -> None:
    """Raise UsageError for a stop point that the run never reaches."""
    marks = marks_of(directory)
    if point.kind == "oom" and not run.ooms:
        raise UsageError("there was no OOM in this run", where="--at oom", remedy=f"one of {KINDS}")
    if point.kind == "panic" and not run.panic:
        raise UsageError("the guest of this run did not panic", where="--at panic", remedy=f"one of {KINDS}")
    if point.kind == "mark" and point.name not in marks:
        raise UsageError(
            f"the run has no mark '{point.name}'",
            where="--at",
            remedy=f"its marks: {', '.join(marks)}" if marks else "it has none",
        )
    began = recorded_since(run, directory)
    early = point.kind == "t" and point.seconds <= began
    if point.kind == "fork" and (run.prefix or run.branch) is not None:
        early = _sampled_by(directory, run.roles.get("child"), began)
    if early or (point.kind == "mark" and point.name not in marks_of(directory, since=began)):
        again = "" if run.prefix is None else ", or a run with --no-prefix, which is recorded from the boot"
        raise UsageError(
            f"the recording begins at {began:.1f} s of the guest's clock",
            where=f"--at {point}",
            remedy=f"a later time{again}",
        )
    if point.kind == "t" and run.guest_seconds is not None and point.seconds > run.guest_seconds:
        raise UsageError(
            f"the run ended at {run.guest_seconds:.1f} s of its clock", where="--at", remedy="an earlier time"
        )


def _sampled_by(directory: Path, pid: int | None, time: float) -> bool:
    """Return whether a process of that pid is in a sample up to a time of the guest's clock."""
    try:
        records = read_records(directory / "events.jsonl").items
    except OSError:
        return False
    rows = (row for each in records if each["ev"] == "sample" and each["t"] <= time for row in each.get("procs") or ())
    return any(isinstance(row, dict) and row.get("pid") == pid for row in rows)


def recorded_since(run: Run, directory: Path) -> float:
    """Return the guest's clock at the start of the recording.

    It is the time of the branch point that the run began at, or of the agent's first record, `ready`.
    """
    if (origin := run.prefix or run.branch) is not None:
        return origin.time
    try:
        with (directory / "events.jsonl").open("rb") as file:
            return float(json.loads(file.readline())["t"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def marks_of(directory: Path, *, since: float = 0.0) -> tuple[str, ...]:
    """Return the names of a run's marks in the order in which the console shows them.

    since: guest seconds; earlier marks are left out.
    """
    try:
        console = (directory / "console.log").read_bytes().decode(errors="replace")
    except OSError:
        return ()
    found = re.findall(r"^\[ *(\d+\.\d+)\](?:\[[^\]]*\])? rig: mark (\S+)", console, flags=re.MULTILINE)
    return tuple(name for time, name in found if float(time) >= since)

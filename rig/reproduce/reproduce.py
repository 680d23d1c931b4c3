# SPDX-License-Identifier: MIT
"""Make a scenario from a report, run it, and keep the scenario with the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.errors import UsageError
from rig.image.staging import staging_directory
from rig.klog import OomEvent
from rig.klog.kinds import Kind
from rig.reproduce.agreement import Compared
from rig.reproduce.fingerprint import fingerprint_of
from rig.reproduce.play import Stage, fit_to_empty_guest, play
from rig.reproduce.replica import Replica
from rig.reproduce.scaling import DEFAULT_SCALE, replica_of
from rig.reproduce.scenario_text import scenario_files
from rig.reproduce.smallest import Shrink, Smallest, find_smallest
from rig.run.directory import rewrite_run
from rig.run.progress import Progress
from rig.scenario.new import write_directory

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = ["Reproduction", "choose_report", "reproduce"]

SCENARIO = "scenario"
"""Name of the scenario's directory in the directory of the run, where no other was asked for."""


@dataclass(frozen=True)
class Reproduction:
    """The last run of a report's scenario, compared with the report.

    runs: how many runs it took until the guest's size fitted.
    directory: of the run.
    scenario: directory of the scenario.
    smallest: what was left out to make it small; None where it was not asked for.
    """

    replica: Replica
    run: Run
    directory: Path
    scenario: Path
    compared: tuple[Compared, ...]
    runs: int
    smallest: Smallest | None = None

    @property
    def agrees(self) -> bool:
        """Whether every field that can be played agrees."""
        return all(each.outcome != "differs" for each in self.compared)

    @property
    def status(self) -> int:
        """The exit status: 0, 1 where a field differs, 3 where rig or the guest broke."""
        if self.run.verdict == "error":
            return 3
        return 0 if self.agrees else 1


def choose_report(events: tuple[Any, ...], number: int | None, where: str) -> tuple[OomEvent, int]:
    """Return an OOM report and how many the log has.

    number: position among all events of the log, as `rig explain` numbers them; None for the first report.
    Raises UsageError when there is no report, or the event of that number is none.
    """
    reports = [event for event in events if isinstance(event, OomEvent) and event.kind is Kind.OOM]
    if number is not None:
        chosen = next((event for event in reports if event.number == number), None)
        if chosen is None:
            named = ", ".join(str(event.number) for event in reports) or "none"
            raise UsageError(
                f"event {number} is not an OOM report", where=where, remedy=f"the log's OOM reports are events {named}"
            )
        return chosen, len(reports)
    if not reports:
        raise UsageError(
            "the log holds no OOM report",
            where=where,
            remedy="give it the whole report, from 'invoked oom-killer' to 'Killed process'",
        )
    return reports[0], len(reports)


async def reproduce(
    event: OomEvent,
    source: str,
    progress: Progress,
    *,
    out: Path | None = None,
    largest: int = DEFAULT_SCALE,
    sets: tuple[str, ...] = (),
    timeout_scale: float = 1.0,
    shrink: Shrink | None = None,
) -> Reproduction:
    """Make a scenario from a report and run it, and return both fingerprints compared.

    source: name of the log, for the scenario's story.
    out: directory to keep the scenario in; it must not exist.
    largest: bytes of the largest guest.
    shrink: how the scenario is made as small as it can be; None to leave it whole.
    Raises UsageError for a report that cannot be played, RigError when rig or the guest fails.
    """
    if out is not None and out.exists():
        raise UsageError("the directory is there already", where=out, remedy="choose another name")
    replica = replica_of(fingerprint_of(event), largest=largest)
    name = out.name if out is not None else "reproduced"
    with staging_directory("reproduce") as staging:
        stage = Stage(staging, name, source, progress, sets, timeout_scale)
        played = await play(await fit_to_empty_guest(replica, stage), stage)
        smallest = None
        if shrink is not None and played.run.verdict != "error":
            smallest = await find_smallest(played, stage, shrink)
            played = smallest.played
    kept = played.directory
    files = scenario_files(name, played.replica, source)
    scenario = write_directory(kept / SCENARIO if out is None else out, files)
    run = played.run.model_copy(update={"scenario_directory": str(scenario.absolute())})
    rewrite_run(kept, run)
    return Reproduction(played.replica, run, kept, scenario, played.compared, played.runs, smallest)

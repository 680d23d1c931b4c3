# SPDX-License-Identifier: MIT
"""Run a replica, and correct the guest's size until memory runs out where it should."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rig.experiment.request import Request
from rig.experiment.run import run_scenario
from rig.klog import read
from rig.reproduce.agreement import Compared, compare_fingerprints
from rig.reproduce.fingerprint import Fingerprint, fingerprint_of
from rig.reproduce.replica import Replica
from rig.reproduce.scenario_text import probe_files, scenario_files
from rig.reproduce.trigger import OWN_TRIGGERS
from rig.run.progress import Progress
from rig.scenario.new import write_directory
from rig.scenario.zoneinfo import read_zoneinfo
from rig.telemetry.records import read_records

if TYPE_CHECKING:
    from rig.run.document import Run
    from rig.run.records import Record, Records

__all__ = ["PROCESS", "Played", "Stage", "fit_to_empty_guest", "play"]

MIB = 1 << 20
MOST_RUNS = 4
PROCESS = 180 << 10
"""Bytes that the kernel and a static program need for a process that holds nothing (measured with Debian's 6.1)."""
NEAR = 0.5
"""The fraction of its growth by which the free room may be off before a run is repeated with another size."""


_Off = tuple[bool, bool, int]
"""How far a run is from the report, the smallest being best: whether it has no OOM report, whether memory ran out while
the actors took theirs, and the bytes by which its size is off."""


@dataclass(frozen=True)
class Stage:
    """What is the same for all runs of one report.

    directory: where scenarios are written.
    name: of the scenario.
    source: name of the log, for the scenario's story.
    sets: settings as NAME=VALUE.
    """

    directory: Path
    name: str
    source: str
    progress: Progress
    sets: tuple[str, ...] = ()
    timeout_scale: float = 1.0


@dataclass(frozen=True)
class Played:
    """The run of a replica that fitted the report best, compared with the report.

    replica: as it was in that run.
    directory: of the run.
    runs: how many runs were made.
    """

    replica: Replica
    run: Run
    directory: Path
    compared: tuple[Compared, ...]
    runs: int

    @property
    def agreeing(self) -> frozenset[str]:
        """The fields that agree with the report."""
        return frozenset(each.field for each in self.compared if each.outcome == "agrees")


async def fit_to_empty_guest(replica: Replica, stage: Stage) -> Replica:
    """Return the replica with as much memory as its actors need, by what an empty guest of its size can spare."""
    if replica.by_hand:
        return replica
    probe = write_directory(stage.directory / "probe", probe_files(replica))
    request = Request(scenario=str(probe), sets=stage.sets, timeout_scale=stage.timeout_scale, record=False)
    _, kept = await run_scenario(request, stage.progress)
    fitted = _fitted(replica, read_records(kept / "events.jsonl"))
    shutil.rmtree(kept)
    shutil.rmtree(probe)
    return fitted


async def play(replica: Replica, stage: Stage, *, most_runs: int = MOST_RUNS, record: bool = True) -> Played:
    """Run a replica until its size fits, and compare the run that fitted best with the report.

    The other runs are removed.

    Raises RigError when rig or the guest fails.
    """
    tried: dict[bool, int] = {}
    best: tuple[_Off, Played] | None = None
    for number in range(1, most_runs + 1):
        directory = stage.directory / str(number) / stage.name
        write_directory(directory, scenario_files(stage.name, replica, stage.source))
        request = Request(scenario=str(directory), sets=stage.sets, timeout_scale=stage.timeout_scale, record=record)
        run, kept = await run_scenario(request, stage.progress)
        shutil.rmtree(directory.parent)
        records, ran = read_records(kept / "events.jsonl"), _report_of(kept)
        more = _missing(replica, records, ran)
        compared = compare_fingerprints(replica, ran, _before(records, replica))
        off = (ran is None, not _all_held(records), abs(more))
        this = (off, Played(replica, run, kept, compared, number))
        if best is None:
            best = this
        else:
            best, (_, worse) = sorted((best, this), key=lambda each: each[0])
            shutil.rmtree(worse.directory)
        near = abs(more) <= max(NEAR * replica.growth, MIB)
        if (near and ran is not None) or replica.by_hand or number == most_runs:
            break
        if near:
            # The trigger took its memory, and there was still some left.
            more = -max(replica.growth // 2, MIB)
        stage.progress.line(f"run {number}: memory ran out {_where(more)}; again with another size")
        tried[more > 0] = _capacity(replica)
        if len(tried) == 2:
            # Too small with the one, too large with the other.
            more = sum(tried.values()) // 2 - _capacity(replica)
        replica = replica.with_room(more)
    assert best is not None
    return replace(best[1], runs=number)


def _where(more: int) -> str:
    return f"{abs(more) >> 20} MB {'too early' if more > 0 else 'too late'}"


def _capacity(replica: Replica) -> int:
    return replica.limit if replica.limit is not None else replica.memory


def _report_of(directory: Path) -> Fingerprint | None:
    """Return the fingerprint of the run's first OOM report; None when there was none."""
    with (directory / "console.log").open("rb") as console:
        ooms = read(console).ooms
    return fingerprint_of(ooms[0]) if ooms else None


def _labelled(records: Records, label: str) -> Record | None:
    return next((sample for sample in records.of("sample") if sample.get("label") == label), None)


def _fitted(replica: Replica, records: Records) -> Replica:
    """Return the replica with as much memory as its actors need, by what an empty guest of that size could spare."""
    wanted = sum(actor.held + PROCESS * (1 + actor.forks) for actor in replica.actors) + replica.growth
    if replica.limit is not None:
        return replica.with_room(wanted - replica.limit)
    meminfo = (_labelled(records, "start") or {}).get("meminfo") or {}
    return replica.with_room(wanted - int(meminfo.get("MemAvailable", 0)) * 1024) if meminfo else replica


def _missing(replica: Replica, records: Records, ran: Fingerprint | None) -> int:
    """Return the bytes by which the guest, or the cgroup's limit, should be larger; negative for smaller.

    When all actors hold their memory, `growth` should be left for the trigger.
    """
    held = _labelled(records, "held")
    if held is not None and _all_held(records):
        short = _short_of_its_size(replica, ran)
        return replica.growth - _room(replica, records, held) if short is None else short
    # Memory ran out while the actors took theirs: what the first report counts is what they had by then.
    wanted = sum(actor.held for actor in replica.actors)
    if ran is None:
        return replica.growth
    before = _before(records, replica)
    had = sum(max(size - before.get(kind, 0), 0) for kind, size in ran.kinds.items()) * 1024
    return max(wanted - had, 0) + replica.growth


def _all_held(records: Records) -> bool:
    """Return whether all actors took their memory, and none was killed while they did."""
    held = _labelled(records, "held")
    lost = any(str(line.get("text", "")).startswith("lost") for line in records.of("line"))
    return held is not None and not lost and _oom_kills(held) <= _oom_kills(_labelled(records, "start"))


def _short_of_its_size(replica: Replica, ran: Fingerprint | None) -> int | None:
    """Return the bytes by which the invoker was smaller than it should be when memory ran out.

    None where it takes memory of another kind or copies what it holds, and where the report has no row of it.
    """
    report = replica.report
    actor = next((each for each in replica.actors if each.trigger), None)
    if actor is None or actor.trigger not in OWN_TRIGGERS or actor.child:
        return None
    row = next((holder for holder in report.holders if holder.pid == report.invoker_pid), None)
    if ran is None or row is None:
        return None
    own = next((holder for holder in ran.holders if holder.pid == ran.invoker_pid), None)
    return None if own is None or own.comm != row.comm else int(row.rss_kb / replica.scale - own.rss_kb) * 1024


def _room(replica: Replica, records: Records, held: Record) -> int:
    """Return the bytes that could still be had when all actors held their memory."""
    if replica.limit is not None:
        looked = next((each for each in records.of("read") if each.get("label") == "held"), {})
        text = str(looked.get("text", "")).strip()
        return replica.limit - int(text) if text.isdecimal() else replica.growth
    at_oom = _labelled(records, "oom")
    left = 0 if at_oom is None else _available(replica, at_oom)
    room = _available(replica, held)
    # Some of what MemAvailable counts cannot be had: the OOM killer is called before it is 0. A sample that was taken
    # after a large victim's end has more than there was before, and is not used; the memory of a small one counts as
    # memory that cannot be had.
    return room - left if left < room else room


def _available(replica: Replica, sample: Record) -> int:
    """Return the bytes that a sample has as available, with the swap beyond what the report had free."""
    meminfo = sample.get("meminfo") or {}
    swap = int(meminfo.get("SwapFree", 0)) if replica.report.swap_free_kb is not None else 0
    full = int((replica.report.swap_free_kb or 0) / replica.scale)
    return (int(meminfo.get("MemAvailable", 0)) + max(swap - full, 0)) * 1024


def _oom_kills(sample: Record | None) -> int:
    return int(((sample or {}).get("vmstat") or {}).get("oom_kill", 0))


def _before(records: Records, replica: Replica) -> Mapping[str, int]:
    """Return the kB by kind that the guest held before its first actor; nothing for a cgroup, which was empty."""
    meminfo = (_labelled(records, "start") or {}).get("meminfo") or {}
    if replica.limit is not None or not meminfo:
        return {}

    def number(*names: str) -> int:
        return sum(int(meminfo.get(name, 0)) for name in names)

    shmem = number("Shmem")
    huge = number("HugePages_Total") * number("Hugepagesize")
    found = {
        "anonymous": max(number("Active(anon)", "Inactive(anon)") - shmem, 0),
        "shmem": shmem,
        "cache": number("Active(file)", "Inactive(file)"),
        "unevictable": number("Unevictable"),
        "slab": number("SUnreclaim"),
        "reclaimable slab": number("SReclaimable"),
        "page tables": number("PageTables", "SecPageTables"),
    }
    counted = sum(found.values()) + number("MemFree", "KernelStack") + huge
    return {**found, "uncounted": max(number("MemTotal") - counted - _in_free_lists(records), 0)}


def _in_free_lists(records: Records) -> int:
    """Return the kB that CPUs' lists of free pages had at the start: MemFree lacks them, an OOM report has them apart.

    Since 6.7 the lists may grow to an eighth of a zone (zone_highsize(), mm/page_alloc.c).
    """
    looked = next((each for each in records.of("read") if each.get("label") == "start"), {})
    return sum(zone.per_cpu for zone in read_zoneinfo(str(looked.get("text", "")))) * 4

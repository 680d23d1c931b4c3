# SPDX-License-Identifier: MIT
"""How much larger a guest or a limit should be, from the records of a run."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rig.experiment.request import Request
from rig.reproduce.play import Stage, _before, _fitted, _missing, play
from rig.reproduce.replica import Replica
from rig.run.progress import NullProgress, Progress
from rig.run.records import Records
from tests.klog import made as made_log
from tests.reproduce.test_agreement import exact
from tests.reproduce.test_replica import replica
from tests.scenario.made import ZONEINFO

MIB = 1 << 20


def records(*items: dict[str, Any]) -> Records:
    return Records(items=tuple({"n": number, "t": float(number), **item} for number, item in enumerate(items)))


def sample(label: str, available_kb: int, oom_kill: int = 0, **meminfo: int) -> dict[str, Any]:
    return {
        "ev": "sample",
        "label": label,
        "meminfo": {"MemAvailable": available_kb, "MemTotal": 500_000, **meminfo},
        "vmstat": {"oom_kill": oom_kill},
    }


def page_cache_of(found: Replica) -> Replica:
    """Return the replica with an invoker that takes memory of another kind than its own."""
    *others, last = found.actors
    return replace(found, actors=(*others, replace(last, trigger="file-read")))


def test_probe_gives_the_guest_what_the_actors_need() -> None:
    found = replica()
    wanted = sum(actor.held for actor in found.actors) + found.growth

    fitted = _fitted(found, records(sample("start", 300 << 10)))

    assert wanted <= fitted.memory - found.memory + (300 << 20) <= wanted + 2 * MIB


def test_limit_of_a_cgroup_is_what_its_actors_need() -> None:
    found = replica(cgroup="/job")

    fitted = _fitted(found, records())

    assert fitted.limit is not None
    assert fitted.limit >= sum(actor.held for actor in found.actors) + found.growth


def test_room_that_is_left_beyond_the_growth_is_taken_away() -> None:
    found = page_cache_of(replica())
    looked = records(sample("start", 400 << 10), sample("held", (found.growth + 20 * MIB) >> 10))

    assert abs(_missing(found, looked, exact(found)) + 20 * MIB) < 4096


def test_invoker_that_is_too_large_tells_how_much_too_late_it_was() -> None:
    found = replica()
    run = exact(found)
    holders = tuple(
        replace(each, rss_kb=each.rss_kb + 8192) if each.pid == run.invoker_pid else each for each in run.holders
    )
    looked = records(sample("start", 400 << 10), sample("held", found.growth >> 10))

    assert abs(_missing(found, looked, replace(run, holders=holders)) + 8 * MIB) < 8192


def test_kill_while_the_actors_take_their_memory_asks_for_what_is_missing() -> None:
    found = replica()
    run = exact(found)
    kinds = {**run.kinds, "anonymous": run.kinds["anonymous"] - 50 * 1024}
    looked = records(
        sample("start", 400 << 10), {"ev": "line", "text": "lost hog"}, sample("held", 100 << 10, oom_kill=1)
    )

    assert _missing(found, looked, replace(run, kinds=kinds)) > 40 * MIB


def test_memory_that_cannot_be_had_at_the_oom_is_no_room() -> None:
    found = page_cache_of(replica())
    unusable = 7 << 10
    looked = records(
        sample("start", 400 << 10),
        sample("held", (found.growth >> 10) + unusable),
        sample("oom", unusable, oom_kill=1),
    )

    assert abs(_missing(found, looked, exact(found))) < 4096


def test_sample_after_the_kill_says_nothing_of_the_room() -> None:
    found = page_cache_of(replica())
    looked = records(
        sample("start", 400 << 10), sample("held", found.growth >> 10), sample("oom", 300 << 10, oom_kill=1)
    )

    assert abs(_missing(found, looked, exact(found))) < 4096


def test_free_pages_in_the_lists_of_cpus_are_in_a_counter() -> None:
    empty = sample("start", 400 << 10, MemFree=490_000)
    zones = {"ev": "read", "label": "start", "path": "/proc/zoneinfo", "text": ZONEINFO, "cut": False}

    assert _before(records(empty), replica())["uncounted"] == 10_000
    assert _before(records(empty, zones), replica())["uncounted"] == 10_000 - 100 * 4


def test_run_that_fitted_best_is_kept_and_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run is nearest; the third has no OOM; in the last memory runs out while the actors take theirs."""
    found = page_cache_of(replica())
    rooms = [found.growth + 40 * MIB, found.growth + 12 * MIB, found.growth, None]
    made: list[Path] = []

    async def run_scenario(request: Request, progress: Progress) -> tuple[Any, Path]:
        room = rooms[len(made)]
        kept = tmp_path / f"run{len(made)}"
        kept.mkdir()
        made.append(kept)
        held = sample("held", 0, oom_kill=1) if room is None else sample("held", room >> 10)
        lines = (json.dumps(item) for item in records(sample("start", 400 << 10), held).items)
        (kept / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
        report = made_log.oom_report() if len(made) != 3 else []
        (kept / "console.log").write_bytes(made_log.serial(report))
        return kept.name, kept

    monkeypatch.setattr("rig.reproduce.play.run_scenario", run_scenario)
    stage = Stage(tmp_path / "stage", "replica", "dmesg", NullProgress())

    played = asyncio.run(play(found, stage))

    assert (played.directory, played.run, played.runs) == (tmp_path / "run1", "run1", 4)
    assert [each.exists() for each in made] == [False, True, False, False]

"""A run as it goes, seen from a second terminal; or a finished one, played again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from rig.report.live import Progress
from rig.run.records import Record
from rig.telemetry.records import RecordReader, read_records

__all__ = ["follow", "replay", "tell"]

LOOK_EVERY = 0.1
Sleep = Callable[[float], None]


def tell(record: Record, progress: Progress) -> None:
    """Show one record of the agent."""
    progress.guest_time(float(record["t"]))
    ev: Any = record["ev"]
    if ev == "sample":
        progress.sample(record)
    elif ev == "line":
        progress.line(f"{record.get('program')}: {record.get('text')}")
    elif ev == "mark":
        progress.line(f"mark {record.get('name')}")
    elif ev == "step":
        progress.phase(f"step {record.get('i')}: {record.get('verb')}{'' if record.get('ok') else ' failed'}")
    elif ev == "oom":
        progress.line("the kernel invoked the OOM killer")


def follow(unfinished: Path, final: Path, progress: Progress, *, sleep: Sleep = time.sleep) -> bool:
    """Show a run's records as they are written, until its folder gets its own name. False: it was given up.

    unfinished: its folder while it is made; final: what it is called when it is whole.
    """
    for records in _growing(unfinished / "events.jsonl", lambda: unfinished.is_dir(), sleep):
        for record in records:
            tell(record, progress)
    return final.is_dir()


def replay(events: Path, progress: Progress, seconds: float, *, sleep: Sleep = time.sleep) -> None:
    """Play a finished run's records in `seconds` of the host's; the guest's long waits are shortened most."""
    items = read_records(events).items
    gaps = [max(0.0, now["t"] - before["t"]) ** 0.5 for before, now in pairwise(items)]
    whole = sum(gaps) or 1.0
    for record, gap in zip(items, [0.0, *gaps], strict=True):
        sleep(seconds * gap / whole)
        tell(record, progress)


def _growing(path: Path, going_on: Callable[[], bool], sleep: Sleep) -> Iterator[list[Record]]:
    reader = RecordReader()
    while not path.exists():
        if not going_on():
            return
        sleep(LOOK_EVERY)
    # The file stays readable when its folder gets its final name.
    with path.open("rb") as file:
        while True:
            over = not going_on()
            while chunk := file.read(1 << 16):
                yield reader.feed(chunk)
            if over:
                return
            sleep(LOOK_EVERY)

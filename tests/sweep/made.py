# SPDX-License-Identifier: MIT
"""Make scenarios and rows of runs, without a guest, for tests of sweeps and reports."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rig.run.document import Claimed, Shown, Verdict
from rig.sweep.row import Row

SCENARIO = """
title = "a scenario for tests"
summary = "it only waits"

[parameters.size]
type = "size"
default = "4M"
max = "64M"
help = "a size"

[parameters.wait]
type = "duration"
default = "1s"
help = "a duration"

[plan]
steps = [{ do = "sample", label = "start" }]

[[claims]]
id = "sampled"
text = "a sample was taken"
expr = "sample('start').meminfo.MemTotal > 0"
"""


def scenario(directory: Path) -> str:
    """Write a scenario and return its path, as a command line names it."""
    place = directory / "waits"
    place.mkdir()
    (place / "scenario.toml").write_text(SCENARIO)
    return str(place)


def row(point: int = 0, repeat: int = 0, verdict: Verdict = "reproduced", **changes: Any) -> Row:
    """Return a row of a finished run. changes: fields of Row to replace."""
    claim = Claimed(
        id="sampled",
        text="a sample was taken",
        verdict="held" if verdict == "reproduced" else "failed",
        values=(Shown(name="total", value=500, unit="kB", shown="500 kB"),),
    )
    fields: dict[str, Any] = {
        "point": point, "repeat": repeat, "settings": {"size": "4M"}, "verdict": verdict, "run": f"{point}-{repeat}",
        "host_seconds": 1.5, "guest_seconds": 10.0, "claims": (claim,),
    }  # fmt: skip
    return Row(**(fields | changes))


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in another thread: a browser's driver may keep an event loop in the main thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()

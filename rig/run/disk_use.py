# SPDX-License-Identifier: MIT
"""What the runs take on disk, by kind."""

from __future__ import annotations

from pathlib import Path

from rig.disk import bytes_below
from rig.run.directory import UNFINISHED, runs_directory
from rig.run.run_id import is_run_id

__all__ = ["runs_by_kind"]


def runs_by_kind(root: Path | None = None) -> dict[str, tuple[int, int]]:
    """Return kind -> (number, bytes on disk), the largest first.

    `runs` are without their recordings, which are a kind of their own. `sweeps` are the tables and plans of sweeps and
    threshold searches. `unfinished` are being written, or were left by a rig that was killed. Nothing else is counted.
    Raises OSError when the directory of runs, or of sweeps, cannot be read.
    """
    root = runs_directory() if root is None else root
    kinds: dict[str, tuple[int, int]] = {}

    def add(kind: str, size: int) -> None:
        count, before = kinds.get(kind, (0, 0))
        kinds[kind] = count + 1, before + size

    for path in root.iterdir() if root.is_dir() else ():
        if not path.is_dir():
            continue
        if path.name.startswith(UNFINISHED):
            add("unfinished", bytes_below(path))
        elif path.name == "sweeps":
            for sweep in path.iterdir():
                add("sweeps", bytes_below(sweep))
        elif is_run_id(path.name):
            recording = path / "recording"
            if recording.is_dir():
                add("recordings", bytes_below(recording))
            add("runs", bytes_below(path, without=recording))
    return dict(sorted(kinds.items(), key=lambda pair: -pair[1][1]))

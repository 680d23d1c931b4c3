# SPDX-License-Identifier: MIT
"""What the runs take on disk, by kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rig.disk import bytes_below, sum_by_kind
from rig.run.directory import SWEEPS, runs_directory
from rig.run.recording_files import RECORDING_DIRECTORY
from rig.run.run_id import is_run_id
from rig.run.unfinished import UNFINISHED

__all__ = ["runs_by_kind"]


def runs_by_kind(root: Path | None = None) -> dict[str, tuple[int, int]]:
    """Return kind -> (number, bytes on disk), the largest first.

    `runs` are without their recordings, which are a kind of their own. `sweeps` are the tables and plans of sweeps and
    threshold searches. `unfinished` are being written, or were left by a rig that was killed. Nothing else is counted.
    Raises OSError when the directory of runs, or of sweeps, cannot be read.
    """
    return sum_by_kind(_sizes(runs_directory() if root is None else root))


def _sizes(root: Path) -> Iterator[tuple[str, int]]:
    for path in root.iterdir() if root.is_dir() else ():
        if not path.is_dir():
            continue
        if path.name.startswith(UNFINISHED):
            yield "unfinished", bytes_below(path)
        elif path.name == SWEEPS:
            for sweep in path.iterdir():
                yield "sweeps", bytes_below(sweep)
        elif is_run_id(path.name):
            recording = path / RECORDING_DIRECTORY
            if recording.is_dir():
                yield "recordings", bytes_below(recording)
            yield "runs", bytes_below(path, without=recording)

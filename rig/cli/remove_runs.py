# SPDX-License-Identifier: MIT
"""Which runs `rig runs rm` removes, and when a run began."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rig.errors import UsageError
from rig.run.directory import RUN_FILE, resolve_run, runs_directory

__all__ = ["choose_runs", "started_at"]


def choose_runs(names: Sequence[str]) -> list[Path]:
    """Return the directories of these runs. Raises UsageError for one that is not in the directory of runs.

    A path may name any directory that holds a file run.json, and rig removes only what it wrote itself.
    """
    root = runs_directory().resolve()
    chosen = []
    for name in names:
        directory = resolve_run(name).resolve()
        if directory.parent != root:
            raise UsageError(
                "this run is not in the directory of runs", where=directory, remedy="remove the directory yourself"
            )
        chosen.append(directory)
    return list(dict.fromkeys(chosen))


def started_at(directory: Path) -> float:
    """Return when a run began, in seconds since the epoch: by its id, or by run.json's mtime if the id tells none."""
    try:
        return datetime.strptime(directory.name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        pass
    try:
        return (directory / RUN_FILE).stat().st_mtime
    except OSError:
        return 0

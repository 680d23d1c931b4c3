# SPDX-License-Identifier: MIT
"""Make a scenario's folder: one that runs as it is, or one with the sizes of an OOM report from production."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from rig.errors import RigError, UsageError
from rig.klog import OomEvent, read

__all__ = ["new_scenario"]

SKELETON = Path(__file__).resolve().parent / "skeleton"
NAME = re.compile(r"[a-z][a-z0-9_-]*")


def new_scenario(name: str, parent: Path, *, from_log: Path | None = None) -> Path:
    """Make the folder `parent/name` and return it. With from_log the sizes are those of the log's first OOM report.

    Raises UsageError for a name that is none, a folder that is there already, and a log without a usable report;
    RigError when the folder cannot be written. A folder that could not be finished is removed.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is not a scenario's name", remedy="begin with a letter; lower-case letters, digits, - and _"
        )
    folder = parent / name
    files = _skeleton(name) if from_log is None else _from_log(name, from_log)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UsageError("the folder is there already", where=folder, remedy="choose another name") from None
    except OSError as error:
        raise RigError(f"the folder cannot be made: {error.strerror}", where=folder) from error
    try:
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise RigError(f"the folder cannot be written: {error.strerror}", where=folder) from error
    return folder


def _skeleton(name: str) -> dict[str, str]:
    return {
        path.name: path.read_text(encoding="utf-8").replace("@NAME@", name)
        for path in sorted(SKELETON.iterdir())
        if path.is_file()
    }


def _from_log(name: str, log: Path) -> dict[str, str]:
    from rig.scenario.replica import write_replica

    try:
        with log.open("rb") as file:
            events = read(file).events
    except OSError as error:
        raise UsageError(f"the log cannot be read: {error.strerror}", where=log, remedy="name a file") from error
    reports = [event for event in events if isinstance(event, OomEvent)]
    if not reports:
        raise UsageError(
            "the log holds no OOM report",
            where=log,
            remedy="give it the whole report, from 'invoked oom-killer' to 'Killed process'",
        )
    return write_replica(name, reports[0], log)

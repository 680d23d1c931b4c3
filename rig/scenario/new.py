# SPDX-License-Identifier: MIT
"""Create a scenario directory: a skeleton that runs unchanged, or a replica of an OOM report from production."""

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
    """Create the directory `parent/name` and return it.

    from_log: a kernel log; the scenario gets the sizes of its first OOM report.
    Raises UsageError for an invalid name, a directory that exists, and a log without a usable report.
    Raises RigError when the directory cannot be written; an incomplete directory is removed.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is not a scenario's name", remedy="begin with a letter; lower-case letters, digits, - and _"
        )
    directory = parent / name
    files = _skeleton(name) if from_log is None else _from_log(name, from_log)
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise UsageError("the directory is there already", where=directory, remedy="choose another name") from None
    except OSError as error:
        raise RigError(f"the directory cannot be made: {error.strerror}", where=directory) from error
    try:
        for file, text in files.items():
            (directory / file).write_text(text, encoding="utf-8")
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise RigError(f"the directory cannot be written: {error.strerror}", where=directory) from error
    return directory


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

# SPDX-License-Identifier: MIT
"""Find files of a run's directory that are not what the run wrote, and say so before they are read."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = ["damaged_files", "digest_files", "warn_of_damage", "warn_of_damaged_file"]

logger = logging.getLogger(__name__)
NOT_DIGESTED = ("run.json", ".lock", "imported.json", "report.html")
LARGEST_RUN_FILE = 16 << 20


def digest_files(directory: Path) -> dict[str, str]:
    """Return path -> SHA-256 of each file that a run wrote into its directory, without run.json."""
    return {
        str(path.relative_to(directory)): _digest(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name not in NOT_DIGESTED
    }


def damaged_files(run: Run, directory: Path) -> dict[str, str]:
    """Return file name -> what is wrong with it, for each file that is not what the run wrote."""
    recording = run.recording
    expected = {"console.log": recording.console_sha256, "events.jsonl": recording.events_sha256} | dict(run.files)
    return _damaged(directory, {name: digest for name, digest in expected.items() if digest})


def warn_of_damage(run: Run, directory: Path) -> dict[str, str]:
    """Log each damaged file of a run, and return what damaged_files() returns."""
    found = damaged_files(run, directory)
    for name, problem in found.items():
        logger.warning("run %s: %s %s; what rests on it may be wrong", run.id, name, problem)
    return found


def warn_of_damaged_file(path: Path) -> None:
    """Log that a file of a run is not what the run wrote. run.json is read without being validated."""
    directory = path.parent
    try:
        with (directory / "run.json").open("rb") as file:
            run: Any = json.loads(file.read(LARGEST_RUN_FILE))
        recording = run.get("recording") or {}
        known = {"console.log": recording.get("console_sha256"), "events.jsonl": recording.get("events_sha256")}
        digest = (run.get("files") or {}).get(path.name) or known.get(path.name)
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return
    if isinstance(digest, str) and digest:
        for name, problem in _damaged(directory, {path.name: digest}).items():
            logger.warning("run %s: %s %s; what rests on it may be wrong", directory.name, name, problem)


def _damaged(directory: Path, expected: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, digest in expected.items():
        path = directory / name
        # The names come from run.json, which may be imported: none may lead out of the directory or name a device.
        if not path.resolve().is_relative_to(directory.resolve()):
            found[name] = "lies outside the run's directory"
        elif not path.is_file():
            found[name] = "is missing"
        else:
            try:
                if _digest(path) != digest:
                    found[name] = "is not what the run wrote: it is " + (
                        "empty" if not path.stat().st_size else "damaged"
                    )
            except OSError as error:
                found[name] = f"cannot be read: {error.strerror}"
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

# SPDX-License-Identifier: MIT
"""What the recordings of the kept runs need of the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rig.errors import RigError
from rig.run.directory import LARGEST_RUN_FILE, run_directories
from rig.run.imported import read_imported

__all__ = ["needed_by_recordings"]

FILES = ("kernel", "initramfs", "rootfs", "snapshot")


def needed_by_recordings(root: Path | None = None) -> dict[str, list[str]]:
    """Return digest of a file, or key of an imported entry -> ids of the runs that cannot be replayed without it.

    A run that cannot be read, or has no recording, needs nothing. The runs are not validated: there may be thousands.
    """
    found: dict[str, list[str]] = {}
    for directory in run_directories(root):
        for part in _parts(directory):
            found.setdefault(part, []).append(directory.name)
    return found


def _parts(directory: Path) -> set[str]:
    try:
        with (directory / "run.json").open("rb") as file:
            recording: dict[str, Any] = json.loads(file.read(LARGEST_RUN_FILE))["recording"]
        if recording.get("path", "") is None:  # the recording was removed (rig/experiment/runs_use.py)
            return set()
        guest = recording["guest"]
        parts = {guest[name] for name in FILES} | {layer["digest"] for layer in guest.get("layers", ())}
        imported = read_imported(directory)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, RigError):
        return set()
    parts |= set((imported or {}).values())
    return {part for part in parts if isinstance(part, str)}

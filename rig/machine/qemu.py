# SPDX-License-Identifier: MIT
"""Find the host's QEMU, read its version, and refuse one that is too old."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rig.errors import RigError

__all__ = ["MINIMUM", "Qemu", "find_qemu"]

# The machine type of every guest, pc-q35-7.2 (features.py), exists since QEMU 7.2.
MINIMUM = (7, 2)
PROGRAM = "qemu-system-x86_64"


@dataclass(frozen=True)
class Qemu:
    """A QEMU program.

    version: (major, minor).
    text: the version line that it prints, which is part of a snapshot's identity.
    """

    path: Path
    version: tuple[int, int]
    text: str


def find_qemu(program: str | None = None) -> Qemu:
    """Return the QEMU to use: `program`, RIG_QEMU, or the one on PATH.

    Raises RigError where there is none, it does not run, or it is older than MINIMUM.
    """
    return _find(program or os.environ.get("RIG_QEMU") or PROGRAM)


@cache
def _find(name: str) -> Qemu:
    found = shutil.which(name)
    if found is None:
        raise RigError(f"{name} is not installed", where="PATH", remedy="apt-get install qemu-system-x86")
    try:
        done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RigError(f"QEMU does not run: {error}", where=found, remedy="reinstall qemu-system-x86") from error
    first = done.stdout.splitlines()[0] if done.stdout else ""
    match = re.search(r"version (\d+)\.(\d+)", first)
    if match is None:
        raise RigError(
            "this does not look like QEMU",
            where=found,
            remedy="unset RIG_QEMU",
            detail=done.stdout + done.stderr,
        )
    version = (int(match[1]), int(match[2]))
    if version < MINIMUM:
        raise RigError(
            f"QEMU {version[0]}.{version[1]} is too old: {MINIMUM[0]}.{MINIMUM[1]} or later is needed",
            where=found,
            remedy="install a newer qemu-system-x86",
        )
    return Qemu(Path(found), version, first.removeprefix("QEMU emulator "))

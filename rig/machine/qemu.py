# SPDX-License-Identifier: MIT
"""Find the host's QEMU, read its version, and refuse one that is too old."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rig.errors import RigError
from rig.image.programs import run_program
from rig.image.store import Store
from rig.seal import seal, seal_is_broken
from rig.whole_file import write_unsynced

__all__ = ["MINIMUM", "Qemu", "find_qemu"]

# The machine type of every guest, pc-q35-7.2 (features.py), exists since QEMU 7.2.
MINIMUM = (7, 2)
PROGRAM = "qemu-system-x86_64"
VERSION_DEADLINE = 20.0
"""Host seconds for QEMU to print its version."""
VERSION = re.compile(r"version (\d+)\.(\d+)")
VERSIONS = "qemu.json"
"""File of the cache with what QEMU's --version printed: starting QEMU for that takes 40 ms."""


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
    stamp = _stamp(Path(found))
    printed = _remembered(found, stamp)
    if printed is None:
        printed = _ask(found)
        if VERSION.search(printed):
            _remember(found, stamp, printed)
    first = printed.splitlines()[0] if printed else ""
    match = VERSION.search(first)
    if match is None:
        raise RigError("this does not look like QEMU", where=found, remedy="unset RIG_QEMU", detail=printed)
    version = (int(match[1]), int(match[2]))
    if version < MINIMUM:
        raise RigError(
            f"QEMU {version[0]}.{version[1]} is too old: {MINIMUM[0]}.{MINIMUM[1]} or later is needed",
            where=found,
            remedy="install a newer qemu-system-x86",
        )
    return Qemu(Path(found), version, first.removeprefix("QEMU emulator "))


def _ask(program: str) -> str:
    """Return what `--version` prints."""
    try:
        done = run_program([program, "--version"], deadline=VERSION_DEADLINE)
    except OSError as error:
        raise RigError(f"QEMU does not run: {error}", where=program, remedy="reinstall qemu-system-x86") from error
    return (done.stdout + done.stderr).decode(errors="replace")


def _stamp(program: Path) -> list[int]:
    """Return what an upgrade of the program changes.

    Empty for a script, which may start another program, and for a file that may be executed and not read.
    """
    try:
        with program.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                return []
        status = program.stat()
    except OSError:
        return []
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _remembered(program: str, stamp: list[int]) -> str | None:
    try:
        text = (Store().root / VERSIONS).read_bytes()
        known = json.loads(text)[program]
        good = stamp and known["stamp"] == stamp and not seal_is_broken(text)
        return str(known["printed"]) if good else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _remember(program: str, stamp: list[int], printed: str) -> None:
    """Keep what a program printed, where the cache can be written. Only the last program is kept."""
    root = Store().root
    if stamp and root.is_dir():
        write_unsynced(root / VERSIONS, seal(json.dumps({program: {"stamp": stamp, "printed": printed}})))

# SPDX-License-Identifier: MIT
"""Find the user's Buildroot, check its version, and check the host programs that it needs."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError, UsageError

__all__ = ["HOST_TOOLS", "OLDEST", "Buildroot", "check_host", "find_buildroot"]

# The oldest release (year, month) that images/buildroot was checked against.
OLDEST = (2025, 2)
HOW_TO_GET = (
    "get a long-term release, 2025.02.x or 2026.02.x, from buildroot.org, unpack it, and name its directory: "
    "--buildroot DIR, or BUILDROOT=DIR"
)
# Buildroot's manual, "Mandatory packages": program -> Debian package.
HOST_TOOLS = {
    "which": "debianutils",
    "sed": "sed",
    "make": "make",
    "ld": "binutils",
    "diff": "diffutils",
    "find": "findutils",
    "gcc": "gcc",
    "g++": "g++",
    "bash": "bash",
    "patch": "patch",
    "gzip": "gzip",
    "bzip2": "bzip2",
    "perl": "perl",
    "tar": "tar",
    "cpio": "cpio",
    "unzip": "unzip",
    "rsync": "rsync",
    "file": "file",
    "bc": "bc",
    "awk": "gawk",
    "wget": "wget",
    "python3": "python3",
}


@dataclass(frozen=True)
class Buildroot:
    """A Buildroot tree. version: BR2_VERSION of its Makefile, such as 2026.02.3."""

    directory: Path
    version: str


def find_buildroot(named: str | None) -> Buildroot:
    """Return the Buildroot tree at `named`, or at BUILDROOT of the environment if that is None.

    Raises UsageError where neither is set, for a directory that is not Buildroot, and for a release before OLDEST.
    """
    asked = named or os.environ.get("BUILDROOT")
    where = "--buildroot" if named else "BUILDROOT"
    if not asked:
        raise UsageError("no Buildroot tree was given", where="rig image build --builder buildroot", remedy=HOW_TO_GET)
    directory = Path(asked).expanduser().resolve()
    try:
        text = (directory / "Makefile").read_text(errors="replace")
    except OSError as error:
        raise UsageError(
            f"'{asked}' is not a Buildroot tree: its Makefile cannot be read ({error.strerror})",
            where=where,
            remedy=HOW_TO_GET,
        ) from error
    match = re.search(r"^export BR2_VERSION := (\d+)\.(\d+)(\S*)$", text, flags=re.MULTILINE)
    if match is None or not (directory / "package").is_dir():
        raise UsageError(
            f"'{asked}' is not a Buildroot tree: its Makefile sets no BR2_VERSION", where=where, remedy=HOW_TO_GET
        )
    version = f"{match[1]}.{match[2]}{match[3]}"
    if (int(match[1]), int(match[2])) < OLDEST:
        raise UsageError(
            f"Buildroot {version} is too old: the oldest release that rig was tested with is "
            f"{OLDEST[0]}.{OLDEST[1]:02}",
            where=f"{where}={asked}",
            remedy=HOW_TO_GET,
        )
    return Buildroot(directory, version)


def check_host() -> None:
    """Check that the host has Buildroot's mandatory programs. Raises RigError naming the missing Debian packages."""
    missing = [name for name in HOST_TOOLS if shutil.which(name) is None]
    if missing:
        packages = " ".join(sorted({HOST_TOOLS[name] for name in missing}))
        raise RigError(
            f"Buildroot needs programs that this host lacks: {', '.join(missing)}",
            where="PATH",
            remedy=f"apt-get install {packages}",
        )

# SPDX-License-Identifier: MIT
"""The kinds of entries in the cache: what each holds, what it costs to make again, and what refers to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["BUILD_DIRECTORIES", "KINDS", "Cost", "Kind", "Tier"]


BUILD_DIRECTORIES = {
    "build": "rig kernel rm --all removes it",
    "buildroot": "remove it by hand: Buildroot's output, downloads and ccache",
}
"""Directory of the cache in which kernels or Buildroot images are built -> how it is removed, for display.

They hold no entries. The directories in each have a bound (builds_use.py), Buildroot's downloads none.
"""


class Cost(IntEnum):
    """What it takes to make an entry again."""

    SECONDS = 0
    """Work of this host alone."""
    DOWNLOAD = 1
    """A download, or a build of minutes."""


class Tier(IntEnum):
    """The order of eviction: a lower tier goes first, and within a tier what was not used for longest."""

    SPARE = 0
    """Made again in seconds, and needed by no recording."""
    FETCHED = 1
    """Downloaded or built again where it is needed, and needed by no recording."""
    RECORDED = 2
    """A kept recording needs it and cannot be replayed without it: made again, it would differ in bytes."""
    NAMED = 3
    """The user built or imported it under a name. Only the user removes it."""


@dataclass(frozen=True)
class Kind:
    """A kind of entry.

    holds: its content, for display.
    remade: how it is made again, for display.
    """

    holds: str
    cost: Cost
    remade: str


KINDS = {
    "kernel": Kind("kernels", Cost.DOWNLOAD, "Debian's package is downloaded, a kernel of yours is built: minutes"),
    "rootfs": Kind("root filesystems of guests", Cost.DOWNLOAD, "Debian's packages are downloaded: 10 s or more"),
    "layer": Kind("roots for programs", Cost.DOWNLOAD, "the packages are downloaded, or the archive is imported"),
    "initramfs": Kind("initramfs of each kernel", Cost.SECONDS, "packed: a second"),
    "toolchain": Kind("compiled guest programs", Cost.SECONDS, "compiled: some seconds"),
    "snapshot": Kind("booted guests", Cost.SECONDS, "booted: 2 to 10 s"),
    "branch": Kind("branch points of runs", Cost.SECONDS, "the run is made again up to the point"),
    "payload": Kind("plans and programs of runs", Cost.SECONDS, "packed: a tenth of a second"),
    "symbols": Kind("debug symbols", Cost.DOWNLOAD, "the debug package is downloaded: hundreds of MB"),
    "imported": Kind("parts of imported runs", Cost.SECONDS, "the run is imported again"),
}
"""Name of the kind, which is its directory in the cache, to what is known of it."""

# SPDX-License-Identifier: MIT
"""The format of a bundle: its manifest, the allowed member names, and the size limits.

A bundle is untrusted input. A name is accepted only in the one allowed form, and a size only up to what a run can have:
an archive of 67 kB can expand to gigabytes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from rig.image.entry import is_key
from rig.image.layer.layer import SIZES
from rig.machine.recording import LARGEST_RECORDING, OVERSHOOT
from rig.replay.tar_reader import BadArchive
from rig.run.directory import LARGEST_RUN_FILE, RUN_FILE
from rig.run.imported import IMPORTED_FILE
from rig.run.recording_files import RECORDING
from rig.run.unfinished import LOCK

__all__ = ["LARGEST_MANIFEST", "LAYOUT", "MANIFESTS", "PART_KINDS", "Budget", "Manifest", "check_name", "read_manifest"]

MANIFESTS = ("bundle.json", "parcel.json")
"""Names of the first member: the one that rig writes, and the one that earlier versions wrote."""
LAYOUT = 1
PART_KINDS = ("kernel", "initramfs", "rootfs", "layer", "snapshot", "branch")
MOST_FILES = 1000
LARGEST_MANIFEST = 1 << 20
LARGEST = 64 << 30
"""Limit on the bytes of all members, holes included: holes take no disk space, but time to decompress. The sizes that
the run states come on top."""
FREE_EXPANSION = 256 << 20
MOST_EXPANSION = 100
"""Limit on non-zero bytes per byte of the archive. A repetitive log may exceed it within the free part."""
KNOWN_SIZES = {"snapshot": "memory", "branch": "memory", "layer": "layer"}
"""Kind of a part -> what of the run states its size."""
RECORDED = f"run/{RECORDING}"
DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Manifest:
    """The manifest of a bundle.

    files: member name -> SHA-256.
    about: `kind/key` of a part -> the description that its builder stored.
    room: bytes on disk that the files took where they were exported; 0 in an archive of an earlier rig.
    """

    files: dict[str, str]
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    room: int = 0


def read_manifest(text: bytes) -> Manifest:
    """Parse the manifest. Raises BadArchive for a form that rig does not write, or a name that is not allowed."""
    try:
        found = json.loads(text)
        layout, files, about, room = found["layout"], found["files"], found.get("about", {}), found.get("room", 0)
        if not (isinstance(files, dict) and isinstance(about, dict) and isinstance(room, int) and room >= 0):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadArchive("its manifest cannot be read") from None
    if layout != LAYOUT:
        raise BadArchive(f"it has layout {str(layout)[:20]}, this rig reads {LAYOUT}")
    if len(files) > MOST_FILES:
        raise BadArchive(f"it has {len(files)} files; a run has {MOST_FILES} at most")
    for name, digest in files.items():
        check_name(name)
        if not (isinstance(digest, str) and DIGEST.fullmatch(digest)):
            raise BadArchive(f"the hash of {name} is not a SHA-256")
    return Manifest(files, {name: each for name, each in about.items() if isinstance(each, dict)}, room)


def check_name(name: str) -> None:
    """Raise BadArchive unless a member's name is `run/PATH` or `cache/KIND/KEY/FILE`."""
    parts = PurePosixPath(name).parts
    plain = str(PurePosixPath(name)) == name and name.isprintable() and not any(part in ("..", "") for part in parts)
    of_run = len(parts) in range(2, 9) and parts[0] == "run" and parts[1] not in (LOCK, IMPORTED_FILE)
    of_cache = len(parts) == 4 and parts[0] == "cache" and parts[1] in PART_KINDS and is_key(parts[1], parts[2])
    if not plain or not (of_run or of_cache) or any(len(part.encode(errors="replace")) > 200 for part in parts):
        raise BadArchive(f"a member has a name that no run has: {name[:80]!r}")


class Budget:
    """How many bytes may still be unpacked from an archive.

    What may compress a thousandfold in an honest run has a bound of its own, and none by the archive's size. The
    recording of a guest that prints the same line again and again has that of a run's. The memory of a guest, which may
    be full of one pattern, and a program's root have the sizes that the run states.
    packed: size of the archive file in bytes.
    """

    def __init__(self, packed: int) -> None:
        self._size = LARGEST
        self._written = FREE_EXPANSION + MOST_EXPANSION * packed
        self._recorded = LARGEST_RECORDING + OVERSHOOT
        self._stated: dict[str, int] = {}

    def allow(self, memory: int, layers: Iterable[int]) -> None:
        """Allow what the run states: the bytes of its guest's memory, and of each of its layers.

        A guest with more memory than this host has cannot be replayed here, and rig makes no layer larger than the last
        of SIZES. An archive gets no more room than that, whatever its run states.
        """
        here = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        of_layers = sum(min(size, SIZES[-1]) for size in layers)
        self._stated = {"memory": min(memory, here), "layer": of_layers}
        self._size += self._stated["memory"] + of_layers

    def announce(self, name: str, size: int) -> None:
        """Account for a member's size before it is unpacked. Raises BadArchive when it exceeds the limit."""
        self._size -= size
        if self._size < 0 or (name == f"run/{RUN_FILE}" and size > LARGEST_RUN_FILE):
            raise BadArchive(f"{name} is larger than it can be")

    def write(self, name: str, size: int) -> None:
        """Account for bytes of a member that are written to disk. Raises BadArchive when it expands too far."""
        if name == RECORDED:
            self._recorded -= size
        else:
            kind = KNOWN_SIZES.get(name.split("/")[1], "")
            stated = min(size, self._stated.get(kind, 0))
            if stated:
                self._stated[kind] -= stated
            self._written -= size - stated
        if self._written < 0 or self._recorded < 0:
            raise BadArchive("it expands to far more than a run can")

# SPDX-License-Identifier: MIT
"""The manifest of a cache entry, and second copies of what a damaged entry is put back from.

An entry of a kind that cannot be built a second time to the byte has a copy of each of its small files in `copies`.
Recordings rest on such an entry: one damaged byte in a small file must not cost them.
"""

from __future__ import annotations

import json
import logging
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.image.digest import digest_file
from rig.seal import seal, seal_is_broken
from rig.whole_file import read_object, write_unsynced, write_whole

__all__ = [
    "COPIES", "MANIFEST", "Manifest", "put_back", "read_manifest", "read_verified", "remove_manifest", "write_manifest",
    "write_verified",
]  # fmt: skip

logger = logging.getLogger(__name__)
MANIFEST = "manifest.json"
COPIES = "copies"
VERIFIED = "verified.json"
COPIED_KINDS = ("snapshot", "branch", "imported")
LARGEST_COPY = 4 << 20
"""Bytes. It holds the state of a guest's devices, and not the guest's memory."""


@dataclass(frozen=True)
class Manifest:
    """The content of a manifest.

    files: name -> SHA-256.
    about: facts that the builder recorded.
    """

    files: dict[str, str]
    about: dict[str, Any]


def write_manifest(directory: Path, kind: str, manifest: Manifest) -> None:
    """Write the manifest, its copy, and the copies of small files into the directory of an unfinished entry."""
    content = {"files": manifest.files, "about": manifest.about}
    text = seal(json.dumps(content, indent=1, sort_keys=True)).encode()
    (directory / COPIES).mkdir()
    if kind in COPIED_KINDS:
        for name in manifest.files:
            if (directory / name).stat().st_size <= LARGEST_COPY:
                (directory / COPIES / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(directory / name, directory / COPIES / name)
    (directory / COPIES / MANIFEST).write_bytes(text)
    (directory / MANIFEST).write_bytes(text)


def read_manifest(directory: Path) -> Manifest | None:
    """Return the manifest of an entry, or None for a directory that is not a finished entry.

    A damaged manifest is read from its copy, and put back where the cache can be written.
    """
    manifest = _parse(directory / MANIFEST)
    if manifest is None and (manifest := _parse(directory / COPIES / MANIFEST)) is not None:
        logger.warning("%s was damaged on disk: it is read from its copy", directory / MANIFEST)
        with suppress(OSError):
            write_whole(directory / MANIFEST, (directory / COPIES / MANIFEST).read_bytes())
    return manifest


def _parse(path: Path) -> Manifest | None:
    try:
        text = path.read_bytes()
        content = json.loads(text)
        files, about = content["files"], content["about"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    plain = isinstance(files, dict) and all(isinstance(each, str) for each in files.values())
    if not plain or not isinstance(about, dict) or seal_is_broken(text):
        return None
    return Manifest(files, about)


def read_verified(directory: Path) -> dict[str, Any]:
    """Return name -> stamp of the files of an entry that were verified; empty if that is not known."""
    return read_object(directory / VERIFIED)


def write_verified(directory: Path, stamps: dict[str, Any]) -> None:
    """Keep the stamps of verified files, where the cache can be written. What is lost is verified again."""
    write_unsynced(directory / VERIFIED, json.dumps(stamps))


def put_back(directory: Path, name: str, digest: str) -> bool:
    """Replace a damaged file of an entry by its copy. Return whether there is a copy that matches the SHA-256."""
    copy = directory / COPIES / name
    try:
        if digest_file(copy) != digest:
            return False
        write_whole(directory / name, copy.read_bytes())
    except OSError:
        return False
    return True


def remove_manifest(directory: Path) -> None:
    """Remove the manifest and its copy, so that no reader finds an entry that is being deleted."""
    for path in (directory / COPIES / MANIFEST, directory / MANIFEST):
        path.unlink(missing_ok=True)

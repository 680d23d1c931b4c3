# SPDX-License-Identifier: MIT
"""Identify a source tree by git: the tree object of its commit, and the changes since."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from rig.image.programs import run_program

__all__ = ["SourceId", "source_id"]


@dataclass(frozen=True)
class SourceId:
    """key: the same for the same files; text: for people, as `commit 0123456789ab with changes`."""

    key: str
    text: str


def source_id(directory: Path) -> SourceId | None:
    """Return the identity of a source directory, or None if git cannot tell. Only a build can identify it then."""
    tree = _git(directory, "rev-parse", "HEAD:./")
    commit = _git(directory, "rev-parse", "--short=12", "HEAD")
    changes = _git(directory, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", "--", ".")
    new = _git(directory, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    if tree is None or commit is None or changes is None or new is None:
        return None
    digest = hashlib.sha256(tree.strip())
    digest.update(changes)
    for name in new.split(b"\0"):
        path = directory / name.decode(errors="surrogateescape")
        if name and path.is_file():
            digest.update(name)
            digest.update(path.read_bytes())
    text = f"commit {commit.decode().strip()}"
    return SourceId(digest.hexdigest(), text + (" with changes" if changes or new else ""))


def _git(directory: Path, *words: str) -> bytes | None:
    try:
        done = run_program(["git", "-C", directory, *words])
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None

# SPDX-License-Identifier: MIT
"""The damaged entries of a cache that recordings rest on: they are set aside, and the newest of them are kept."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from rig.image.entry import Entry
from rig.remove_tree import remove_tree
from rig.whole_file import sync_directory

__all__ = ["DAMAGED", "keep_newest", "move_aside", "name_aside", "paths_aside"]

logger = logging.getLogger(__name__)
DAMAGED, MOST_ASIDE = "damaged", 2


def name_aside(root: Path, entry: Entry) -> Path:
    """Return a new path for a damaged entry in the directory `damaged` of a cache."""
    return root / DAMAGED / f"{entry.kind}-{entry.key[:16]}-{time.time_ns():x}"


def move_aside(entry: Entry, aside: Path) -> None:
    """Rename a damaged entry to its path of name_aside()."""
    aside.parent.mkdir(parents=True, exist_ok=True)
    # Otherwise a power cut could leave the entry in a directory that has no name.
    sync_directory(aside.parent.parent)
    entry.path.rename(aside)


def keep_newest(root: Path) -> None:
    """Remove all damaged entries but the MOST_ASIDE newest, and log each."""
    for older in paths_aside(root)[:-MOST_ASIDE]:
        remove_tree(older)
        logger.warning("%s is removed: only the %d newest damaged entries are kept", older, MOST_ASIDE)


def paths_aside(root: Path) -> list[Path]:
    """Return the directories of the damaged entries, the oldest first."""
    return sorted((root / DAMAGED).glob("*"), key=lambda path: path.name.rpartition("-")[2])

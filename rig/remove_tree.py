# SPDX-License-Identifier: MIT
"""Make and remove a directory around a block, also where rig is interrupted meanwhile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["make_directory", "new_name", "remove_tree"]

Made = TypeVar("Made")


def new_name(prefix: str) -> str:
    """Return the prefix with eight random hex digits."""
    return prefix + os.urandom(4).hex()


def make_directory(path: Path, make: Callable[[Path], Made]) -> Made:
    """Return what `make(path)` does, which makes a directory that did not exist; remove that if it is interrupted.

    tempfile.mkdtemp() chooses the name itself, so that nobody could remove what an interrupt right after mkdir(2) left.
    """
    try:
        return make(path)
    except KeyboardInterrupt:
        remove_tree(path)
        raise


def remove_tree(path: Path) -> None:
    """Remove a directory as far as possible, without an error. An interrupt is raised when the directory is gone."""
    try:
        shutil.rmtree(path, ignore_errors=True)
    except KeyboardInterrupt:
        shutil.rmtree(path, ignore_errors=True)
        raise

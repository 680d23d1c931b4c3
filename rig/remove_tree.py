# SPDX-License-Identifier: MIT
"""Remove a directory at the end of a block, also where rig is interrupted meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["remove_tree"]


def remove_tree(path: Path) -> None:
    """Remove a directory as far as possible, without an error. An interrupt is raised when the directory is gone."""
    try:
        shutil.rmtree(path, ignore_errors=True)
    except KeyboardInterrupt:
        shutil.rmtree(path, ignore_errors=True)
        raise

# SPDX-License-Identifier: MIT
"""Find the data files of rig: documents, guest sources, image definitions, scenarios."""

from __future__ import annotations

from pathlib import Path

__all__ = ["assets"]


def assets(name: str) -> Path:
    """Return the directory `docs`, `guest`, `images` or `scenarios` of the installed package, else of the checkout."""
    here = Path(__file__).resolve().parent
    packaged = here / "_data" / name
    return packaged if packaged.is_dir() else here.parent / name

# SPDX-License-Identifier: MIT
"""Create a scenario directory that runs unchanged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from rig.errors import RigError, UsageError
from rig.remove_tree import make_directory, new_name, remove_tree

__all__ = ["check_name", "new_scenario", "write_directory"]

SKELETON = Path(__file__).resolve().parent / "skeleton"
NAME = re.compile(r"[a-z][a-z0-9_-]*")


def new_scenario(name: str, parent: Path) -> Path:
    """Create the directory `parent/name` and return it.

    Raises UsageError for an invalid name and a directory that exists.
    Raises RigError when the directory cannot be written; an incomplete directory is removed.
    """
    check_name(name)
    return write_directory(parent / name, _skeleton(name))


def check_name(name: str) -> None:
    """Raise UsageError for a text that is not the name of a scenario."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is not a scenario's name", remedy="begin with a letter; lower-case letters, digits, - and _"
        )


def write_directory(directory: Path, files: Mapping[str, str]) -> Path:
    """Create a directory with these files (name -> text) and return it; see new_scenario() for errors."""
    if directory.exists():
        raise UsageError("the directory is there already", where=directory, remedy="choose another name")
    # Beside it and renamed, so that an interrupt leaves no half of a scenario, and takes nothing away that is there.
    aside = directory.with_name(new_name(f".{directory.name}-"))
    try:
        make_directory(aside, lambda aside: _write(aside, files, directory))
    except OSError as error:
        remove_tree(aside)
        raise RigError(f"the directory cannot be made: {error.strerror}", where=directory) from error
    return directory


def _write(aside: Path, files: Mapping[str, str], directory: Path) -> None:
    aside.mkdir(parents=True)
    for file, text in files.items():
        (aside / file).write_text(text, encoding="utf-8")
    aside.rename(directory)


def _skeleton(name: str) -> dict[str, str]:
    return {
        path.name: path.read_text(encoding="utf-8").replace("@NAME@", name)
        for path in sorted(SKELETON.iterdir())
        if path.is_file()
    }

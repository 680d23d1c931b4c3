# SPDX-License-Identifier: MIT
"""An error as every command prints it."""

from __future__ import annotations

from rig.cli.ending import say
from rig.errors import RigError
from rig.sanitize import plain

__all__ = ["print_error"]


def print_error(error: RigError) -> None:
    """Print where and what, the lines that prove it, and what to try, to standard error."""
    where = f"{plain(error.where)}: " if error.where else ""
    say(f"rig: {where}{plain(error.what)}")
    if error.detail:
        for line in error.detail.splitlines():
            say(f"  | {plain(line)}")
    if error.remedy:
        say(f"  try: {plain(error.remedy)}")

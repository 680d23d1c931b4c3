# SPDX-License-Identifier: MIT
"""An error as every command prints it."""

from __future__ import annotations

import sys

from rig.errors import RigError
from rig.sanitize import plain

__all__ = ["print_error"]


def print_error(error: RigError) -> None:
    """Print where and what, the lines that prove it, and what to try, to standard error."""
    where = f"{plain(error.where)}: " if error.where else ""
    print(f"rig: {where}{plain(error.what)}", file=sys.stderr)
    if error.detail:
        for line in error.detail.splitlines():
            print(f"  | {plain(line)}", file=sys.stderr)
    if error.remedy:
        print(f"  try: {plain(error.remedy)}", file=sys.stderr)

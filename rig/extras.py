# SPDX-License-Identifier: MIT
"""The optional dependencies (extras in pyproject.toml): how to add one to the Python that runs rig."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from rig.errors import RigError

__all__ = ["check_installed", "how_to_install"]


def check_installed(module: str, extra: str) -> None:
    """Raise RigError where a module of an extra is not installed: before the work whose result needs it."""
    if find_spec(module) is None:
        raise RigError(f"{module} is not installed", remedy=how_to_install(extra))


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra: from the checkout that rig runs from, or as rig itself came."""
    checkout = Path(__file__).resolve().parents[1]
    what = f"-e '{checkout}[{extra}]'" if (checkout / "pyproject.toml").is_file() else f"'rig[{extra}]'"
    return f"{sys.executable} -m pip install {what}"

# SPDX-License-Identifier: MIT
"""Which tool installed rig, and what a user calls to change that installation."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

__all__ = ["add_extra", "put_on_path"]

MARKS = {"uv-receipt.toml": "uv", "pipx_metadata.json": "pipx"}
"""File in a virtual environment -> the tool that made the environment for one application."""


def _installer() -> str:
    return next((tool for name, tool in MARKS.items() if (Path(sys.prefix) / name).is_file()), "pip")


def add_extra(extra: str) -> str:
    """Return the command that adds an extra to this installation."""
    commands = {"uv": "uv tool install", "pipx": "pipx install --force", "pip": "pip install"}
    return f"{commands[_installer()]} 'oomrig[{extra}]'"


def put_on_path() -> str:
    """Return what puts the command `rig` of this installation on PATH."""
    commands = {"uv": "uv tool update-shell", "pipx": "pipx ensurepath"}
    return commands.get(_installer(), f"put {sysconfig.get_path('scripts')} on it")

# SPDX-License-Identifier: MIT
"""The help of every command as text, for docs/reference/cli.md and the manual pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from rig.cli.app import app
from rig.cli.commands import COMMANDS

__all__ = ["help_texts"]

WIDTH = 80


def help_texts() -> Iterator[tuple[str, str]]:
    """Yield the name (`rig run`) and the help text of the program, of each command, and of each command of a group."""
    program: Any = typer.main.get_command(app)
    root: Any = program.make_context("rig", [], resilient_parsing=True, terminal_width=WIDTH)
    yield "rig", program.get_help(root)
    for name in COMMANDS:
        yield from _of(program.get_command(root, name), name, root)


def _of(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    # Not command.make_context(): it parses arguments, and there are none.
    context = type(parent)(command, info_name=name, parent=parent, terminal_width=WIDTH)
    yield context.command_path, command.get_help(context)
    for each in getattr(command, "commands", ()):
        yield from _of(command.get_command(context, each), each, context)

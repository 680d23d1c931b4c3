# SPDX-License-Identifier: MIT
"""`rig help`: the documents that travel with rig, by topic."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from rig.assets import assets
from rig.cli.commands import COMMANDS
from rig.errors import UsageError
from rig.scenario.suggestion import did_you_mean

__all__ = ["app", "print_topic", "topics"]

app = typer.Typer()


@app.command("help")
def help_(
    context: typer.Context,
    topic: str = typer.Argument(None, metavar="TOPIC", help="A topic, or a command; without one, list the topics."),
) -> None:
    """Print a document that comes with rig, or the help of a command."""
    found = topics()
    if topic is None:
        width = max(map(len, found))
        for name, path in found.items():
            print(f"{name:<{width}}  {_title(path)}")
    elif topic in found:
        print_topic(topic)
    elif topic in COMMANDS:
        assert context.parent is not None
        group: Any = context.parent.command
        command = group.get_command(context.parent, topic)
        print(command.get_help(type(context)(command, info_name=topic, parent=context.parent)))
    else:
        raise UsageError(
            f"there is no topic '{topic}'", where="rig help", remedy=did_you_mean(topic, [*found, *COMMANDS])
        )


def topics() -> dict[str, Path]:
    """Return the documents by topic, which is the name of the file; a directory's index is not one."""
    paths = sorted(path for path in assets("docs").rglob("*.md") if path.name != "README.md")
    return {path.stem: path for path in sorted(paths, key=lambda path: path.stem)}


def print_topic(topic: str) -> None:
    """Print a document: as it is to a file or pipe, set for reading to a terminal."""
    text = topics()[topic].read_text(encoding="utf-8")
    if sys.stdout.isatty():
        from rich.console import Console

        from rig.report.markdown import Document

        Console().print(Document(text), crop=False)
    else:
        sys.stdout.write(text)


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next((line.removeprefix("# ").strip() for line in lines if line.startswith("# ")), "")

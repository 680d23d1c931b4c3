# SPDX-License-Identifier: MIT
"""Manual pages from the texts that `--help` prints: `python -m rig.cli.manual DIRECTORY` writes rig.1, rig-run.1, …"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from rig import __version__
from rig.cli.app import app
from rig.cli.commands import COMMANDS

__all__ = ["manual_pages"]

BRIEF = "reproduce, record and explain what Linux does when memory runs out"
STATUSES = (
    ("0", "reproduced, or done"),
    ("1", "not-reproduced; of other commands: see rig help exit-status"),
    ("2", "invalid"),
    ("3", "error"),
    ("64", "usage error"),
    ("130", "interrupted"),
)


def manual_pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text (man(7)) of each manual page: one for the program, and one for each command."""
    program: Any = typer.main.get_command(app)
    root: Any = program.make_context("rig", [], resilient_parsing=True)
    yield (
        "rig.1",
        _page(
            program,
            root,
            "reproduce, record and explain Linux's out-of-memory conditions",
            [*_commands(), *_statuses()],
        ),
    )
    for name, each in COMMANDS.items():
        command = program.get_command(root, name)
        context = type(root)(command, info_name=name, parent=root)
        brief = each.brief[0].lower() + each.brief[1:].rstrip(".")
        yield f"rig-{name}.1", _page(command, context, brief, list(_subcommands(command, context)))


def _page(command: Any, context: Any, brief: str, more: Sequence[str]) -> str:
    title = context.command_path.replace(" ", "-")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH {_text(title.upper())} 1 "" "rig {__version__}" "rig"',
        ".SH NAME",
        f"{_text(title)} \\- {_text(brief)}",
        ".SH SYNOPSIS",
        f".B {_text(context.command_path)}",
        _text(usage),
        ".SH DESCRIPTION",
        *_paragraphs(command.help),
        *_parameters(command, context, ".SH OPTIONS"),
        *more,
    ]
    lines += [".SH SEE ALSO", "The documents that come with rig:", ".B rig help"]
    return "\n".join(lines) + "\n"


def _parameters(command: Any, context: Any, heading: str) -> list[str]:
    records = [record for each in command.get_params(context) if (record := each.get_help_record(context))]
    lines = [heading] if records else []
    for name, text in records:
        lines += [".TP", f".B {_text(name)}", _text(text)]
    return lines


def _commands() -> list[str]:
    lines = [".SH COMMANDS"]
    for name, each in COMMANDS.items():
        lines += [".TP", f".BR rig\\-{_text(name)} (1)", _text(each.brief)]
    return lines


def _statuses() -> list[str]:
    lines = [".SH EXIT STATUS"]
    for status, meaning in STATUSES:
        lines += [".TP", f".B {status}", _text(meaning)]
    return lines


def _subcommands(command: Any, context: Any) -> Iterator[str]:
    for name, each in getattr(command, "commands", {}).items():
        own = type(context)(each, info_name=name, parent=context)
        yield f".SH {_text(own.command_path.upper())}"
        yield _text(f"{own.command_path} {' '.join(each.collect_usage_pieces(own))}")
        yield ".PP"
        yield from _paragraphs(each.help)
        yield from _parameters(each, own, ".PP")


def _paragraphs(text: str | None) -> list[str]:
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return [line for paragraph in paragraphs for line in (".PP", _text(" ".join(paragraph.split())))][1:]


def _text(text: str) -> str:
    """Escape what roff(7) would read: backslashes, hyphens, and a dot or quote at the beginning of a line."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main(directory: Path) -> None:
    """Write all pages."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in manual_pages():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

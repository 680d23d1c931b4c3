# SPDX-License-Identifier: MIT
"""Write what the documents take from the code: `python -m rig.cli.write_docs`, which `make docs` calls.

A document has a place for each: the lines between `<!-- NAME: … -->` and `<!-- NAME: end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from rig.assets import assets
from rig.cli.commands import COMMANDS
from rig.cli.help_texts import help_texts
from rig.scenario.load import list_scenarios, load_scenario
from rig.verify.document import document
from rig.verify.recorded import read_recorded

__all__ = ["GENERATED", "current", "documents"]


def _commands() -> str:
    rows = []
    for panel in dict.fromkeys(each.panel for each in COMMANDS.values()):
        rows += [f"\n**{panel}**\n", "| command | does |", "|---|---|"]
        rows += [
            f"| [`rig {name}`](#rig-{name}) | {each.brief} |" for name, each in COMMANDS.items() if each.panel == panel
        ]
    return "\n".join(rows).strip()


def _help() -> str:
    return "\n\n".join(f"## {name}\n\n```\n{text.rstrip()}\n```" for name, text in help_texts())


def _scenarios() -> str:
    rows = ["| scenario | what it shows | parameters |", "|---|---|---|"]
    for directory in list_scenarios():
        scenario = load_scenario(directory.name)
        link = f"[`{directory.name}`](../../scenarios/{directory.name}/README.md)"
        rows.append(f"| {link} | {scenario.file.summary} | {', '.join(scenario.parameters)} |")
    return "\n".join(rows)


def _checks() -> str:
    return document(read_recorded()).rstrip()


GENERATED: dict[str, Callable[[], str]] = {
    "commands": _commands,
    "help": _help,
    "scenarios": _scenarios,
    "kernel checks": _checks,
}
"""The name of each place, and what stands there."""


def current(text: str) -> str:
    """Return a document with its places written anew."""
    for name, write in GENERATED.items():
        begin, end = rf"<!-- {name}: [^\n]*-->\n", f"<!-- {name}: end -->"
        parts = re.split(rf"({begin}).*?({end})", text, maxsplit=1, flags=re.S)
        if len(parts) == 4:
            before, first, last, after = parts
            text = f"{before}{first}{write()}\n{last}{after}"
    return text


def documents() -> list[Path]:
    """Return all documents below docs/."""
    return sorted(assets("docs").rglob("*.md"))


if __name__ == "__main__":
    for path in documents():
        before = path.read_text(encoding="utf-8")
        if (after := current(before)) != before:
            path.write_text(after, encoding="utf-8")
            print(path)

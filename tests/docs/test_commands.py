# SPDX-License-Identifier: MIT
"""Every command in the documents exists, with the options that the documents give it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from rig.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "scenarios").glob("*/README.md")),
]


def commands(text: str) -> list[list[str]]:
    """The words of each call of rig that stands in a line of code, without its comment."""
    lines = [line.split("#")[0] for line in re.findall(r"^(?: {4}|\$ )(.*)$", text, re.MULTILINE)]
    found = []
    for line in lines:
        for part in re.split(r"&&|\|(?!\w)", line):
            if match := re.match(r"\s*(?:git bisect run |rig-venv/bin/)?rig ((?!.* · ).*)$", part):
                found.append(match[1].split())
    return found


def unknown(words: list[str]) -> list[str]:
    """What of a call there is not: its command, or its options."""
    command: Any = typer.main.get_command(app)
    group = command
    while words and not words[0].startswith("-") and hasattr(group, "get_command"):
        inner = group.get_command(None, words[0])
        if inner is None:
            return words[:1]
        group, words = inner, words[1:]
    words = words[: words.index("--")] if "--" in words else words
    known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help"
    }
    return [word for word in words if re.match(r"--?[a-z]", word) and word.split("=")[0] not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_calls_of_rig_name_what_there_is(page: Path) -> None:
    wrong = {" ".join(words): unknown(words) for words in commands(page.read_text()) if "|" not in "".join(words[:1])}

    assert {call: words for call, words in wrong.items() if words} == {}


def test_call_that_there_is_not_would_be_seen() -> None:
    page = "    rig run x --colour red   # a comment\n    cat x | rig explian -\n    rig image list --why K\n    make run\n"

    assert [unknown(words) for words in commands(page)] == [["--colour"], ["explian"], []]

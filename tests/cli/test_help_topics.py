# SPDX-License-Identifier: MIT
"""`rig help` and `rig show --language`: the documents that travel with rig."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.cli.app import _run
from rig.cli.commands import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"


def test_topics_are_the_documents_by_their_titles(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["help"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(
        path.stem for path in DOCS.rglob("*.md") if path.stem != "README"
    )
    assert [line for line in lines if len(line.split()) < 2] == []


def test_topics_have_names_of_their_own() -> None:
    names = [path.stem for path in DOCS.rglob("*.md") if path.stem != "README"]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("words", [["help", "claims"], ["show", "--language"]])
def test_language_of_claims_is_the_document(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(words) == 0

    assert capsys.readouterr().out == (DOCS / "reference" / "claims.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_topic_that_is_a_command_is_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["help", name]) == 0

    assert capsys.readouterr().out.startswith("# " if name in ("branch", "replay") else f"Usage: rig {name} ")


@pytest.mark.parametrize(
    ("words", "remedy"),
    [(["help", "claim"], "claims"), (["show"], "rig list"), (["show", "overcommit-oops", "--language"], "rig list")],
)
def test_topic_that_there_is_not(words: list[str], remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(words) == 64

    assert remedy in capsys.readouterr().err

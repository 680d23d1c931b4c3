# SPDX-License-Identifier: MIT
"""The generated parts of the documents are up to date with the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.cli.write_docs import GENERATED, current, documents

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.stem)
def test_document_is_current_or_make_docs_writes_it(path: Path) -> None:
    text = path.read_text()

    assert current(text) == text


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_written_has_a_place(name: str) -> None:
    assert [path for path in documents() if f"<!-- {name}: written by" in path.read_text()] != []


def test_table_that_was_changed_by_hand_is_seen() -> None:
    text = "# A\n\n<!-- commands: written by `make docs` -->\nby hand\n<!-- commands: end -->\n\nafter\n"

    written = current(text)

    assert "by hand" not in written
    assert "rig run" in written
    assert written.endswith("<!-- commands: end -->\n\nafter\n")


def test_index_names_every_document() -> None:
    index = (DOCS / "README.md").read_text()

    missing = [path for path in documents() if f"({path.relative_to(DOCS)})" not in index and path.name != "README.md"]
    assert missing == []

# SPDX-License-Identifier: MIT
"""Write the tables of docs/reference/claims.md from the declarations: `python -m rig.scenario.model_tables`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rig.assets import assets
from rig.scenario.declare import Declared
from rig.scenario.vocabulary import words

__all__ = ["MODEL", "with_tables"]

MODEL = assets("docs") / "reference" / "claims.md"


def with_tables(text: str) -> str:
    """Return the document with the rows between `<!-- NAME: … -->` and `<!-- NAME: end -->` regenerated."""
    declared = words().values()
    names = [each for each in declared if each.kind == "name"]
    functions = [each for each in declared if each.kind == "function"]
    text = _replace(text, "names", ["| name | is |", "|---|---|", *_rows(names)])
    python = ", ".join(f"`{each.word}`" for each in functions if not each.text)
    rows = [*_rows(each for each in functions if each.text), f"| {python} | as in Python |"]
    return _replace(text, "functions", ["| function | gives |", "|---|---|", *rows])


def _rows(declared: Iterable[Declared]) -> list[str]:
    marks = {"records": " ●"}
    return [f"| `{each.signature}`{marks.get(each.source, '')} | {each.text} |" for each in declared]


def _replace(text: str, name: str, rows: list[str]) -> str:
    pattern = rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- {name}: end -->)"
    return re.sub(pattern, lambda found: found[1] + "".join(f"{row}\n" for row in rows) + found[2], text, flags=re.S)


if __name__ == "__main__":
    MODEL.write_text(with_tables(MODEL.read_text(encoding="utf-8")), encoding="utf-8")

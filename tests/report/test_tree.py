# SPDX-License-Identifier: MIT
"""The tree of runs, as text and as a page."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from rig.report.html.tree_page import tree_report
from rig.report.tree import family, runs_tree
from rig.run.directory import Listed
from rig.run.document import Branch, Run


def run(name: str, parent: str | None = None, *changes: str) -> Run:
    branch = None if parent is None else Branch(parent=parent, point="here", key="k", step=3, time=9.5, changes=changes)
    return Run(id=name, scenario="s", started="", verdict="reproduced", parent=parent, branch=branch)


RUNS = [run("a"), run("b", "a", "vm.swappiness=0"), run("c", "b"), run("d")]


def printed(runs: list[Run]) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=140).print(runs_tree(runs))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_futures_stand_below_their_parent_with_what_is_different() -> None:
    lines = printed(RUNS)

    assert lines[0].startswith("a  reproduced")
    assert lines[1].startswith("└── b  reproduced  from here (9.5 s): vm.swappiness=0")
    assert lines[2].startswith("    └── c  reproduced  from here (9.5 s): nothing changed")
    assert lines[3].startswith("d  ")


def test_family_is_the_ancestor_and_all_that_came_of_it() -> None:
    listed = [Listed(each.id, Path(each.id), each) for each in RUNS]

    assert [each.id for each in family(listed, "c")] == ["a", "b", "c"]
    assert [each.id for each in family(listed, "d")] == ["d"]


def test_future_whose_parent_is_gone_is_at_the_top() -> None:
    assert printed(RUNS[1:3])[0].startswith("b  ")


def test_page_shows_each_future_and_escapes_what_the_guest_wrote(tmp_path: Path) -> None:
    names = [f"20261125-20000{number}-abcd" for number in range(3)]
    runs = [run(names[0]), run(names[1], names[0], "vm.swappiness=0"), run(names[2], names[0], "<script>1</script>")]
    for each in runs:
        (tmp_path / each.id).mkdir()
        (tmp_path / each.id / "run.json").write_text(each.model_dump_json())

    page = tree_report(runs, tmp_path, lambda run: f"{run}.html" if run == names[1] else None)

    assert "vm.swappiness=0" in page
    assert "<script>" not in page
    assert page.count("<section") == 4
    assert re.findall(r'href="([^#"]+)"', page) == [f"{names[1]}.html"]

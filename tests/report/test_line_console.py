# SPDX-License-Identifier: MIT
"""What is no terminal gets the lines that rich would lay out, also where rig writes them itself."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rig.klog.explain.explanation import Bar, Picture
from rig.report import console
from rig.report.console import output_console
from rig.report.explain_bars import picture_lines, picture_table

TABLE = Table("a", "b")
TABLE.add_row("1", "2")


@pytest.mark.parametrize(
    "objects",
    [
        (),
        (Text(""),),
        (Text("a line  \n\n  and another"),),
        (Text("[bold]no markup[/bold] :smile:", style="red"),),
        (Padding(Text("a line\nand\n\nanother"), (0, 0, 0, 4), expand=False),),
        (Padding(Text("a line"), (1, 0, 0, 4), expand=False),),
        (Padding(TABLE, (0, 0, 0, 2), expand=False),),
        (Text("a\ttab"),),
        (Text("猫" * 5001),),
        (Text("word " * 2001),),
        (Text("x" * 10_001),),
        (Text("one"), Text("two")),
        ("[bold]markup[/bold] 猫",),
        (TABLE,),
    ],
    ids=range(14),
)
def test_lines_are_those_of_rich(
    objects: tuple[object, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output_console().print(*objects)
    ours = capsys.readouterr().out
    monkeypatch.setattr(console, "_LineConsole", Console)

    output_console().print(*objects)

    assert ours == capsys.readouterr().out


BARS = {
    "short": (Bar("hog", 2048), Bar("a task", 4)),
    "long": (Bar("a task whose name is longer than its column", 2048, parts=(("in swap", 1024),)), Bar("猫" * 40, 4)),
    "even": (Bar("猫" * 14 + "x", 300 << 20),),
    "marks": (Bar("node 0 DMA", 10, marks=(("min", 20), ("low", 30))), Bar("node 0 DMA32", 90, parts=(("held", 3),))),
    "nothing": (Bar("hog", 0),),
}


@pytest.mark.parametrize("name", BARS)
def test_lines_of_a_picture_are_those_of_its_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    picture = Picture("Memory", BARS[name], whole_kb=4096)
    output_console().print(picture_lines(picture, indent=2))
    ours = capsys.readouterr().out

    output_console().print(picture_table(picture, indent=2))

    assert ours == capsys.readouterr().out

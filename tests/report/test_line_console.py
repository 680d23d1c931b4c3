# SPDX-License-Identifier: MIT
"""What is no terminal gets the lines that rich would lay out, also where rig writes them itself."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rig.report import console
from rig.report.console import output_console

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

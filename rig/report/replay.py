# SPDX-License-Identifier: MIT
"""The result of a replay in the terminal: identical, or the first difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.run.comparison import Comparison, Difference, Replayed
from rig.sanitize import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["print_replayed", "render_replayed"]


def print_replayed(console: Console, replayed: Replayed) -> None:
    """Print how a replay went."""
    for line in render_replayed(replayed):
        console.print(line, soft_wrap=True)


def render_replayed(replayed: Replayed) -> list[Text]:
    """Return the lines: the result first, then its evidence."""
    from rich.text import Text

    if replayed.identical:
        sizes = ", ".join(f"{each.name} {each.seen:,} bytes" for each in (replayed.console, replayed.events))
        lines = [Text.assemble(("identical", "bold green"), f"  {sizes}")]
    else:
        lines = [Text.assemble((_result(replayed), "bold red"), f"  {_why(replayed)}")]
        for difference in replayed.differences:
            lines += _difference(difference)
        if not replayed.differences:
            lines += [_progress(each) for each in (replayed.console, replayed.events)]
    took = f"replayed in {replayed.host_seconds:.2f} s"
    if replayed.identical and replayed.recorded_seconds:
        took += (
            f", recorded in {replayed.recorded_seconds:.2f} s"
            f" ({replayed.host_seconds / replayed.recorded_seconds:.1f} times)"
        )
    return [*lines, Text(took, "dim")]


def _result(replayed: Replayed) -> str:
    if replayed.differences:
        return "differs"
    return "cut short" if replayed.problem else "differs"


def _why(replayed: Replayed) -> str:
    if replayed.differences:
        return "the replay did something else than the run"
    if replayed.problem:
        cut = "the recording is shorter than the run noted; " if replayed.cut else ""
        return plain(cut + replayed.problem)
    missing = [each for each in (replayed.console, replayed.events) if each.missing]
    if missing:
        return "the replay ended before it had said all"
    return "what came is not what the run's hashes name; the file to compare with is gone"


def _difference(difference: Difference) -> list[Text]:
    from rich.text import Text

    return [
        Text(f"  {difference.name}, byte {difference.offset:,}, line {difference.line:,}"),
        Text(f"    run     {_shown(difference.expected)}"),
        Text(f"    replay  {_shown(difference.got)}"),
    ]


def _shown(line: bytes) -> str:
    return plain(line.decode(errors="replace"), longest=200) or "(its end)"


def _progress(comparison: Comparison) -> Text:
    from rich.text import Text

    if comparison.expected is None:
        return Text(f"  {comparison.name}: {comparison.seen:,} bytes; the run's own is gone")
    same = f"the same for its first {comparison.seen:,} of {len(comparison.expected):,} bytes"
    return Text(f"  {comparison.name}: {same}")

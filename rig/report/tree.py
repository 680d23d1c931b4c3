# SPDX-License-Identifier: MIT
"""The tree of runs: each run with the futures that were branched off it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rig.report.branch import outcome_of
from rig.report.terminal import STYLES
from rig.sanitize import plain

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from rig.run.directory import Listed
    from rig.run.document import Run

__all__ = ["family", "runs_tree"]


def family(listed: Iterable[Listed], member: str) -> list[Run]:
    """Return the runs of the tree that a run belongs to: its oldest ancestor that is kept, and all that came of it."""
    runs = {each.run.id: each.run for each in listed if each.run is not None}
    root = member
    seen = {root}
    while (parent := runs[root].parent) in runs and parent not in seen:
        root = str(parent)
        seen.add(root)
    found = [runs[root]]
    for run in found:
        found += [each for each in runs.values() if each.parent == run.id and each not in found]
    return found


def runs_tree(runs: Sequence[Run]) -> Tree:
    """Return the runs as a tree. A run whose parent is not among them is at its top."""
    from rich.tree import Tree

    known = {run.id for run in runs}
    top = Tree("", hide_root=True, guide_style="dim")
    branches: dict[str, Tree] = {}
    # A parent is older than its futures, and ids begin with the time.
    for run in sorted(runs, key=lambda run: run.id):
        above = branches.get(run.parent or "", top) if run.parent in known else top
        branches[run.id] = above.add(_line(run))
    return top


def _line(run: Run) -> Text:
    from rich.text import Text

    line = Text.assemble((plain(run.id), "bold"), "  ", (run.verdict, STYLES[run.verdict]), "  ")
    if run.branch is None:
        settings = " ".join(f"{plain(name)}={plain(value)}" for name, value in run.settings.items())
        line.append(f"{plain(run.scenario)} {settings}".rstrip())
    else:
        changes = " ".join(run.branch.changes) or "nothing changed"
        line.append(f"from {plain(run.branch.point)} ({run.branch.time:.1f} s): {plain(changes, longest=120)}")
    line.append(f"  {outcome_of(run)}", "dim")
    return line

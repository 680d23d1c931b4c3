# SPDX-License-Identifier: MIT
"""Find the past that a run has: its own from the boot on, or, for a future, that of the run it was branched off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rig.branch.changes import Changes, plan_future
from rig.branch.origin import Root, Source, read_source
from rig.branch.point import Point, find_point
from rig.errors import RigError
from rig.image.store import Store
from rig.run.directory import read_held_run
from rig.run.run_id import is_run_id
from rig.scenario.plan import parse_step
from rig.telemetry.records import read_records

__all__ = ["locate", "read_past"]


def read_past(directory: Path, store: Store) -> Source:
    """Return the past of a kept run, which may be a future of another one.

    Raises UsageError for a run that cannot be branched, RigError when its scenario or its parent is gone.
    """
    run = read_held_run(directory)
    if run.branch is None:
        return read_source(directory, store)
    # The parent comes from run.json, which may be imported: it names a run, and no path.
    if not is_run_id(run.branch.parent) or not (directory.parent / run.branch.parent / "run.json").is_file():
        raise RigError(
            f"the run was branched off {run.branch.parent or 'a point of a sweep'}, which is not kept",
            where=directory,
            remedy="branch a run that is there; 'rig runs --tree' shows them",
        )
    source, point = locate(read_past(directory.parent / run.branch.parent, store), run.branch.point)
    point = replace(point, first=run.branch.step)
    changes = Changes(tuple(run.branch.sets), tuple(parse_step(text) for text in run.branch.acts))
    future = plan_future(source, point, changes)
    return replace(
        source,
        settings=future.settings,
        plan=future.plan,
        run=run,
        directory=directory,
        records=read_records(directory / "events.jsonl"),
        root=Root(source, point, changes, future.continuation),
    )


def locate(source: Source, text: str) -> tuple[Source, Point]:
    """Return the point that a text names, and the source that it is a point of.

    Until it was branched off, a future has the past of its parent: such a point is one of the parent's.
    Raises UsageError for a point that there is not.
    """
    point = find_point(source, text)
    if source.root is not None and point.first <= source.root.continuation.first:
        return locate(source.root.source, text)
    return source, point

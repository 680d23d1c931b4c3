# SPDX-License-Identifier: MIT
"""Execute a sweep: run the missing tasks on an executor, and append each row to the journal when its run ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rig.errors import UsageError
from rig.scenario.load import Scenario, find_scenario, load_scenario
from rig.scenario.settings import Settings, parse_settings
from rig.sweep.axes import SweepPlan
from rig.sweep.directory import SweepDirectory
from rig.sweep.journal import append_row, read_rows
from rig.sweep.row import Row
from rig.sweep.table import tables_of, write_table
from rig.sweep.task import PointTask

__all__ = ["Executor", "Outcome", "execute_sweep", "tasks_of"]


class Executor(Protocol):
    """Run tasks, here or on other machines, and yield one row for each in the order in which they end."""

    def run(self, tasks: Sequence[PointTask], began: Callable[[PointTask], None]) -> AsyncIterator[Row]: ...


@dataclass(frozen=True)
class Outcome:
    """The result of a sweep.

    rows: all rows of the sweep, including those of earlier calls.
    fresh: number of rows that this call added.
    """

    rows: Sequence[Row]
    fresh: int


def tasks_of(plan: SweepPlan, scenario: Scenario, *, record: bool = False, timeout_scale: float = 1) -> list[PointTask]:
    """Return one task for each run of the plan; the repeats of a point follow each other."""
    # Give a directory by its absolute path: a worker may have another current directory.
    name = (
        str(scenario.directory) if find_scenario(plan.scenario) == scenario.directory and "/" in plan.scenario else None
    )
    tasks = []
    for point, settings in enumerate(plan.points()):
        sets = tuple(f"{key}={value}" for key, value in (*plan.fixed, *settings))
        memory = _memory(scenario, sets)
        for repeat in range(plan.repeat):
            tasks.append(PointTask(point, repeat, name or plan.scenario, sets, settings, memory, record, timeout_scale))
    return tasks


def _memory(scenario: Scenario, sets: tuple[str, ...]) -> int:
    """Return the host memory that the guest may take, in bytes; 0 if its settings are invalid and it cannot start."""
    try:
        settings: Settings = parse_settings(scenario, sets)
    except UsageError:
        return 0
    # The swap disk is a sparse file in /tmp, which may be a tmpfs. zram is part of the guest's memory already.
    return settings.memory + settings.swap


async def execute_sweep(
    sweep: SweepDirectory,
    executor: Executor,
    *,
    record: bool = False,
    timeout_scale: float = 1,
    began: Callable[[PointTask], None] = lambda task: None,
    ended: Callable[[Row], None] = lambda row: None,
) -> Outcome:
    """Run the tasks that have no row yet, and write the table.

    began, ended: called when a run starts and when its row is there.
    A point that fails does not stop the others.
    Raises UsageError when another rig process is running this sweep.
    """
    scenario = load_scenario(sweep.plan.scenario)
    with sweep.alone():
        done = set()
        for row in sweep.rows():
            done.add((row.point, row.repeat))
            ended(row)
        tasks = tasks_of(sweep.plan, scenario, record=record, timeout_scale=timeout_scale)
        missing = [task for task in tasks if task.key not in done]
        fresh = 0
        try:
            async for row in executor.run(missing, began):
                # Dask may run a task twice when it loses a worker.
                if (row.point, row.repeat) in done:
                    continue
                done.add((row.point, row.repeat))
                append_row(sweep.journal, row)
                fresh += 1
                ended(row)
        finally:
            rows = read_rows(sweep.journal)
            write_table(tables_of(sweep.plan, scenario, rows), sweep.table)
    return Outcome(rows, fresh)

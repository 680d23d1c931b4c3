# SPDX-License-Identifier: MIT
"""The memory that a sweep of many points takes when it ends, and when its results are read."""

from __future__ import annotations

import contextlib
import io
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow
import pytest

from rig.cli.app import _run
from rig.seal import seal
from rig.sweep.axes import Axis, SweepPlan
from rig.sweep.directory import SweepDirectory, find_sweep, new_sweep
from rig.sweep.execute import execute_sweep
from rig.sweep.table import read_table
from tests.sweep import made
from tests.sweep.test_execute import Pretender

GROUP = 8
FEW = 40
MANY = 4 * FEW


class Nowhere(io.StringIO):
    """A standard output that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


def finished(directory: Path, points: int) -> SweepDirectory:
    """Return a sweep of which every run is done and the table is missing. A row takes some 30 kB of memory."""
    directory.mkdir()
    scenario = made.scenario(directory)
    sweep = new_sweep(SweepPlan(scenario, (Axis("size", tuple(f"{size}K" for size in range(4, 4 + points))),)))
    claims = made.row().claims * 20
    rows = (made.row(point, settings={"size": f"{4 + point}K"}, claims=claims) for point in range(points))
    sweep.journal.write_text("".join(seal(row.model_dump_json()) + "\n" for row in rows))
    return sweep


def peak_of(work: Callable[[], object]) -> int:
    """Return the bytes that Python's objects and Arrow's buffers took at most while something was done."""
    pool = pyarrow.default_memory_pool()
    tracemalloc.start()
    before = pool.max_memory()
    with contextlib.redirect_stdout(Nowhere()):
        work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most + max(0, pool.max_memory() - before)


def of_each_point(work: Callable[[SweepDirectory], object], sweeps: tuple[SweepDirectory, SweepDirectory]) -> float:
    """Return the bytes by which the peak grows with each point of a sweep."""
    few, many = sweeps
    with contextlib.redirect_stdout(Nowhere()):
        work(few)  # imports what it needs
    return (peak_of(lambda: work(many)) - peak_of(lambda: work(few))) / (MANY - FEW)


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SweepDirectory, SweepDirectory]]:
    top = tmp_path_factory.mktemp("sweeps")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RIG_RUNS", str(top / "runs"))
        patched.setattr("rig.sweep.columns.GROUP", GROUP)
        patched.setattr("rig.report.sweep_table.POINTS_A_TABLE", GROUP)
        yield finished(top / "few", FEW), finished(top / "many", MANY)


def finish(sweep: SweepDirectory) -> None:
    made.finish(execute_sweep(find_sweep(str(sweep.path)), Pretender()))


def show(*options: str) -> Callable[[SweepDirectory], int]:
    return lambda sweep: _run(["results", str(sweep.path), *options])


def test_end_of_a_sweep_takes_memory_for_a_group_of_its_rows(sweeps: tuple[SweepDirectory, SweepDirectory]) -> None:
    assert of_each_point(finish, sweeps) < 4000
    assert read_table(sweeps[1].table).num_rows == MANY


@pytest.mark.parametrize("options", [(), ("--json",), ("--csv",), ("--svg", "/dev/null")])
def test_results_take_memory_for_a_group_of_their_rows(
    options: tuple[str, ...], sweeps: tuple[SweepDirectory, SweepDirectory]
) -> None:
    assert of_each_point(show(*options), sweeps) < 4000

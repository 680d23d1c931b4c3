# SPDX-License-Identifier: MIT
"""A sweep with an executor that runs no guest: which results are kept, which points run again, what is reported."""

from __future__ import annotations

import asyncio
import io
import json
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from rig.branch.sharing import Pasts
from rig.cli.app import _run
from rig.errors import RigError, UsageError
from rig.experiment.capacity import KEPT_FREE, PER_GUEST, Capacity
from rig.image.store import Store
from rig.report.sweep_table import SweepTable
from rig.scenario.load import load_scenario
from rig.sweep.axes import Axis, SweepPlan
from rig.sweep.directory import SweepDirectory, find_sweep, new_sweep
from rig.sweep.execute import execute_sweep
from rig.sweep.journal import append_row, read_rows
from rig.sweep.local import LocalExecutor
from rig.sweep.row import Row
from rig.sweep.table import query, read_table, table_of, write_table
from rig.sweep.task import PointTask
from tests.sweep import made

MB = 1 << 20


class Pretender:
    """An executor whose runs end at once.

    breaks_after: the number of runs after which it raises KeyboardInterrupt, or None.
    twice: whether it yields each row twice.
    """

    def __init__(self, breaks_after: int | None = None, twice: bool = False) -> None:
        self.ran: list[tuple[int, int]] = []
        self._left = breaks_after
        self._twice = twice

    async def run(self, tasks: Sequence[PointTask], began: Callable[[PointTask], None]) -> AsyncIterator[Row]:
        for task in tasks:
            if self._left is not None and len(self.ran) == self._left:
                raise KeyboardInterrupt
            self.ran.append(task.key)
            for _ in range(1 + self._twice):
                yield made.row(*task.key, settings=dict(task.settings))


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepDirectory:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    scenario = made.scenario(tmp_path)
    return new_sweep(SweepPlan(scenario, (Axis("size", ("4M", "8M")),), repeat=2))


def test_sweep_that_was_cut_short_goes_on_where_it_stopped(sweep: SweepDirectory) -> None:
    with pytest.raises(KeyboardInterrupt):
        made.finish(execute_sweep(sweep, Pretender(breaks_after=3)))
    second = Pretender()

    outcome = made.finish(execute_sweep(find_sweep("last"), second))

    assert second.ran == [(1, 1)]
    assert [(row.point, row.repeat) for row in outcome.rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert read_table(sweep.table).num_rows == 4


def test_row_that_comes_twice_is_kept_once(sweep: SweepDirectory) -> None:
    outcome = made.finish(execute_sweep(sweep, Pretender(twice=True)))

    assert outcome.fresh == len(outcome.rows) == 4


def test_line_that_a_kill_cut_short_is_run_again(sweep: SweepDirectory) -> None:
    append_row(sweep.journal, made.row(0, 0))
    with sweep.journal.open("a") as journal:
        journal.write('{"point": 0, "repe')

    assert [(row.point, row.repeat) for row in read_rows(sweep.journal)] == [(0, 0)]


def test_damaged_row_is_named_with_its_line_and_run_again(
    sweep: SweepDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    made.finish(execute_sweep(sweep, Pretender()))
    lines = sweep.journal.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b'"repeat":1', b'"repeat":7')
    sweep.journal.write_bytes(b"\n".join(lines))
    second = Pretender()

    outcome = made.finish(execute_sweep(sweep, second))

    assert "rows.jsonl:2 is damaged" in caplog.text
    assert len(second.ran) == 1
    assert len(outcome.rows) == 4


def test_row_after_a_line_that_was_cut_short_is_a_line_of_its_own(sweep: SweepDirectory) -> None:
    append_row(sweep.journal, made.row(0, 0))
    with sweep.journal.open("a") as journal:
        journal.write('{"point": 0, "repe')

    append_row(sweep.journal, made.row(0, 1))

    assert [(row.point, row.repeat) for row in read_rows(sweep.journal)] == [(0, 0), (0, 1)]


def test_two_rigs_do_not_run_one_sweep(sweep: SweepDirectory) -> None:
    with sweep.alone(), pytest.raises(UsageError, match="another rig"), sweep.alone():
        pass


def test_point_whose_verdicts_differ_is_unstable_in_the_table(sweep: SweepDirectory) -> None:
    rows = [made.row(0, 0), made.row(0, 1, "invalid"), made.row(1, 0), made.row(1, 1)]

    table = table_of(sweep.plan, load_scenario(sweep.plan.scenario), rows)

    assert table.column("unstable").to_pylist() == [True, True, False, False]
    assert table.column("agreed").to_pylist() == [0.5, 0.5, 1.0, 1.0]


def test_axis_column_has_its_settings_type_and_unit(sweep: SweepDirectory) -> None:
    table = table_of(sweep.plan, load_scenario(sweep.plan.scenario), [made.row()])

    assert table.column("size").to_pylist() == [4 * MB]
    assert query(table, "select \"values\"['sampled.total'] as total from results").to_pylist() == [{"total": 500.0}]


def test_query_that_is_no_sql_is_a_usage_error_with_the_databases_words(sweep: SweepDirectory) -> None:
    table = table_of(sweep.plan, load_scenario(sweep.plan.scenario), [made.row()])

    with pytest.raises(UsageError) as caught:
        query(table, "selekt 1")

    assert "selekt" in (caught.value.detail or "")


def test_value_that_json_has_no_form_for_is_printed_as_text(
    sweep: SweepDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    append_row(sweep.journal, made.row())

    assert _run(["results", "last", "--sql", "select date '2026-11-01' as day from results", "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == [{"day": "2026-11-01"}]


def test_query_reads_no_file_of_the_host(sweep: SweepDirectory) -> None:
    table = table_of(sweep.plan, load_scenario(sweep.plan.scenario), [made.row()])

    with pytest.raises(UsageError):
        query(table, "select * from read_csv('/etc/passwd')")


def test_results_of_an_older_schema_are_refused_with_the_remedy(sweep: SweepDirectory, tmp_path: Path) -> None:
    table = table_of(sweep.plan, load_scenario(sweep.plan.scenario), [made.row()])
    write_table([table.replace_schema_metadata({b"rig.sweep.schema": b"0"})], tmp_path / "old.parquet")

    with pytest.raises(RigError, match="schema version 0") as caught:
        read_table(tmp_path / "old.parquet")

    assert "rows.jsonl" in (caught.value.remedy or "")


@pytest.mark.parametrize("kept", [b"", b"{", None])
def test_runs_that_a_sweep_has_lost_are_said(
    kept: bytes | None, sweep: SweepDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    made.finish(execute_sweep(sweep, Pretender()))
    sweep.journal.write_bytes(kept or b"")
    if kept is None:
        sweep.journal.unlink()

    assert _run(["results", "last"]) == 0

    assert f"sweep {sweep.id}: 0 of its 4 runs are here; `rig sweep --resume {sweep.id}`" in caplog.text


def test_sweep_that_has_lost_its_plan_is_in_the_list(sweep: SweepDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    made.finish(execute_sweep(sweep, Pretender()))
    (sweep.path / "sweep.json").unlink()

    assert _run(["results"]) == 0

    assert f"{sweep.id}  cannot be read: sweep.json is missing" in capsys.readouterr().out


def test_flipped_bit_of_a_table_changes_nothing_that_is_read(sweep: SweepDirectory, tmp_path: Path) -> None:
    made.finish(execute_sweep(sweep, Pretender()))
    whole = sweep.table.read_bytes()
    table = read_table(sweep.table)
    damaged = tmp_path / "damaged.parquet"
    chance = random.Random(1)

    for at in chance.sample(range(len(whole)), 200):
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
        try:
            found = read_table(damaged)
        except RigError:
            continue
        assert found.to_pydict() == table.to_pydict()


def test_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("nothing")

    with pytest.raises(RigError, match="not a Parquet file"):
        read_table(tmp_path / "x.parquet")


def most_at_once(free: int, guests: int, memory: int) -> int:
    capacity = Capacity(jobs=8, available=lambda: free)

    async def one() -> None:
        async with capacity.room_for(memory):
            await asyncio.sleep(0.01)

    async def all_() -> None:
        await asyncio.gather(*(one() for _ in range(guests)))

    made.finish(all_())
    return capacity.most


def test_guests_at_once_follow_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rig.experiment.capacity.LOOK_AGAIN", 0.001)
    each = 256 * MB + PER_GUEST

    assert most_at_once(KEPT_FREE + 3 * each, guests=6, memory=256 * MB) == 3
    assert most_at_once(KEPT_FREE + 20 * each, guests=12, memory=256 * MB) == 8


def test_guest_that_does_not_fit_at_all_is_an_error() -> None:
    with pytest.raises(RigError, match="does not fit"):
        most_at_once(64 * MB, guests=1, memory=512 * MB)


def _held_after(count: int, tmp_path: Path) -> int:
    """Return the bytes that a sweep of that many points holds when its last row has come."""
    scenario = made.scenario(tmp_path)
    plan = SweepPlan(scenario, (Axis("size", tuple(f"{size}K" for size in range(4, 4 + count))),), repeat=1)
    sweep = new_sweep(plan)
    held = []

    class Large(Pretender):
        async def run(self, tasks: Sequence[PointTask], began: Callable[[PointTask], None]) -> AsyncIterator[Row]:
            async for row in super().run(tasks, began):
                yield Row.model_validate_json(row.model_copy(update={"claims": row.claims * 20}).model_dump_json())

    with SweepTable(Console(file=io.StringIO(), force_terminal=True), plan.names, count) as table:
        tracemalloc.start()

        def ended(row: Row) -> None:
            table.ended(row)
            held.append(tracemalloc.get_traced_memory()[0])

        made.finish(execute_sweep(sweep, Large(), ended=ended))
    tracemalloc.stop()
    return held[-1]


def test_sweep_holds_no_claims_of_the_points_that_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    for name in ("first", "few", "many"):
        (tmp_path / name).mkdir()
    _held_after(1, tmp_path / "first")  # imports what the two others need

    few, many = (_held_after(count, tmp_path / name) for name, count in (("few", 5), ("many", 25)))

    # Bytes a point, most of them of the plan (3,600 with 2,000 points); with its claims it is 30,000.
    assert (many - few) / 20 < 12_000


def test_local_executor_begins_no_more_runs_than_it_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []

    async def run_point(task: PointTask, store: Store, pasts: Pasts) -> tuple[Row, None]:
        alive.append(len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        return made.row(task.point), None

    async def everything() -> list[Row]:
        executor = LocalExecutor(jobs=2)
        executor.capacity = Capacity(2, available=lambda: 1 << 40)
        tasks = [PointTask(point, 0, "x", (), {}, 0, False, 1) for point in range(50)]
        return [row async for row in executor.run(tasks, lambda task: None)]

    monkeypatch.setattr("rig.sweep.local.run_point", run_point)

    rows = asyncio.run(everything())

    assert sorted(row.point for row in rows) == list(range(50))
    assert max(alive) <= 4  # three runs, of which two are let in, and the one that reads their rows

# SPDX-License-Identifier: MIT
"""The tables of an earlier rig have no digests: rig says that it cannot check them, once, and shows them."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet
import pytest

from rig.cli.app import _run
from rig.scenario.load import load_scenario
from rig.sweep.axes import Axis, SweepPlan
from rig.sweep.directory import PLAN, SweepDirectory, new_sweep
from rig.sweep.journal import append_row
from rig.sweep.table import DIGEST_KEY, table_of, write_table
from tests.sweep import made

SEAL = re.compile(r',\s*"seal": ?"[0-9a-f]{64}"')


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepDirectory:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    found = new_sweep(SweepPlan(made.scenario(tmp_path), (Axis("size", ("4M", "8M")),)))
    for number in range(2):
        append_row(found.journal, made.row(number))
    write_table([table_of(found.plan, load_scenario(found.plan.scenario), found.rows())], found.table)
    return found


def _unseal(path: Path) -> None:
    text = path.read_text()
    assert SEAL.search(text)
    path.write_text(SEAL.sub("", text))


@pytest.mark.parametrize("call", [["results"], ["results", "--csv"], ["results", "--sql", "SELECT 1"], ["report"]],
                         ids=" ".join)  # fmt: skip
@pytest.mark.parametrize("unsealed", [PLAN, "rows.jsonl"])
def test_tables_without_seals_are_said_to_be_unchecked(
    unsealed: str, call: list[str], sweep: SweepDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _unseal(sweep.path / unsealed)
    name, *options = call

    assert _run([name, sweep.id, *options]) == 0

    assert caplog.messages == [
        f"sweep {sweep.id} was made by an earlier rig: whether its tables are damaged is not known"
    ]


def test_parquet_file_without_a_digest_is_said_to_be_unchecked(
    sweep: SweepDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    table = pyarrow.parquet.read_table(sweep.table)
    kept = {name: value for name, value in table.schema.metadata.items() if name != DIGEST_KEY}
    pyarrow.parquet.write_table(table.replace_schema_metadata(kept), sweep.table)

    assert _run(["results", str(sweep.table), "--csv"]) == 0

    assert caplog.messages == [f"{sweep.table} was made by an earlier rig: whether it is damaged is not known"]


def test_tables_of_this_rig_are_checked_without_a_word(sweep: SweepDirectory, caplog: pytest.LogCaptureFixture) -> None:
    assert _run(["results", sweep.id]) == 0
    assert _run(["results", str(sweep.table), "--csv"]) == 0

    assert caplog.messages == []


def test_list_of_all_sweeps_says_nothing_of_each(sweep: SweepDirectory, caplog: pytest.LogCaptureFixture) -> None:
    _unseal(sweep.path / PLAN)

    assert _run(["results"]) == 0

    assert caplog.messages == []

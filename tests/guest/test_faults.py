# SPDX-License-Identifier: MIT
"""A part of the campaign of `make faults`: some cases of each row."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.faults.home import Home, home, remove
from tests.faults.table import ROWS, Row

ON_SMALL_DISKS = ("full disk", "read-only")


@pytest.fixture(scope="module")
def shared() -> Iterator[Home]:
    """Yield a home for all rows: booting a guest for each would take most of the time."""
    with home() as each:
        yield each


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS if row.part])
def test_faults_are_survived(row: Row, shared: Home) -> None:
    if row.name.startswith(ON_SMALL_DISKS) and os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    for path in shared.path.iterdir():
        if path != shared.cache:
            remove(path)
    for directory in (shared.runs, shared.path / "t", shared.path / "x"):
        directory.mkdir()

    found = list(row.cases(shared, row.part))

    if any(problem.startswith("not tried") for _, problem in found):
        pytest.skip("a small disk cannot be mounted here")
    assert row.too_few(len(found), row.part) == ""
    assert [f"{name}: {problem}" for name, problem in found if problem] == []

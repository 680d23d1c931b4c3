# SPDX-License-Identifier: MIT
"""A part of the campaign of `make faults`: some cases of each row."""

from __future__ import annotations

import os

import pytest

from tests.faults.home import home
from tests.faults.table import ROWS, Row

ON_SMALL_DISKS = ("full disk", "read-only")


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS if row.part])
def test_faults_are_survived(row: Row) -> None:
    if row.name.startswith(ON_SMALL_DISKS) and os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")

    with home() as each:
        found = list(row.cases(each, row.part))

    if any(problem.startswith("not tried") for _, problem in found):
        pytest.skip("a small disk cannot be mounted here")
    assert len(found) >= row.part
    assert [f"{name}: {problem}" for name, problem in found if problem] == []

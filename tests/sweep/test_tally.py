# SPDX-License-Identifier: MIT
"""The rows of a sweep are counted while they are read for its table."""

from __future__ import annotations

from rig.sweep.tally import Tally
from tests.sweep import made


def test_rows_are_counted_in_the_one_reading_of_them() -> None:
    rows = [
        made.row(0, 0).model_copy(update={"verdict": "reproduced", "shared": "hogging"}),
        made.row(0, 1).model_copy(update={"verdict": "not-reproduced", "shared": "hogging"}),
        made.row(1, 0).model_copy(update={"verdict": "reproduced"}),
        made.row(2, 0).model_copy(update={"verdict": "reproduced"}),
        made.row(2, 1).model_copy(update={"verdict": "reproduced"}),
    ]
    tally = Tally(iter(rows))

    assert list(tally) == rows
    assert (tally.unstable, tally.worst, dict(tally.shared)) == (1, "not-reproduced", {"hogging": 2})


def test_sweep_without_rows_has_no_failure() -> None:
    tally = Tally([])

    assert list(tally) == []
    assert (tally.unstable, tally.worst) == (0, "reproduced")

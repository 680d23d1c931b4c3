# SPDX-License-Identifier: MIT
"""What claims compute from one sample to the report of an OOM."""

from __future__ import annotations

import pytest

from rig.scenario.views import MissingRecord
from rig.scenario.vocabulary import functions_of
from tests.scenario.recorded import recorded
from tests.scenario.test_catalogue import setting


def test_report_of_a_cgroup_does_not_tell_what_was_swapped_out() -> None:
    run = recorded("overcommit-in-cgroup")
    sample = next(each for each in run.records if each.get("label") == "forked" and each["ev"] == "sample")
    swap = run.changed("sample", setting(meminfo={**sample["meminfo"], "SwapFree": 1000}), label="forked")

    assert functions_of(run.evidence())["swapped_out"]("forked") == 0
    with pytest.raises(MissingRecord, match="the OOM report does not tell how much swap is free"):
        functions_of(swap.evidence())["swapped_out"]("forked")

# SPDX-License-Identifier: MIT
"""The table of measured remedies: what is told of each, and that the written module says it."""

from __future__ import annotations

import pytest

from rig.cli.write_remedies import TABLE, measured_by, table_text
from rig.cure.cure import Result
from rig.cure.outcome import Class, Outcome
from rig.cure.treatments import Dose, Treatment
from rig.cure.trial import Tried
from tests.cure.test_outcome import CONTROL

MIB = 1 << 20


def result(remedy: str, name: str, dose: Dose, kind: Class, detail: str = "", agree: int = 3) -> Result:
    return Result(Treatment(remedy, name, (dose,)), Outcome(kind, detail), Tried(dose, 0.0, CONTROL), agree, 3, None, 3)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            result("swap", "swap", Dose("swap=64M", size=64 * MIB), "later", "+90 s"),
            "12 % swap (64M) delayed it by 90 s",
        ),
        (
            result("more-memory", "memory", Dose("memory=768M", size=768 * MIB), "prevented"),
            "50 % more memory (768M) prevented it",
        ),
        (
            result("oom-score", "x", Dose("hog oom_score_adj=-100"), "another died", "child"),
            "with hog oom_score_adj=-100 child died instead",
        ),
    ],
)
def test_outcome_is_a_sentence(made: Result, text: str) -> None:
    assert measured_by((made,), 512 * MIB)[made.treatment.remedy].text == text


def test_best_treatment_of_a_remedy_counts() -> None:
    worse = result("watermarks", "a", Dose("a=1"), "worse", "-150 s")
    none = result("watermarks", "b", Dose("b=1"), "no difference")

    assert measured_by((worse, none), 512 * MIB)["watermarks"].text == "b=1 made no difference"


def test_written_module_has_what_was_measured() -> None:
    measured = {"processes": measured_by((result("zram", "x", Dose("zram=1G"), "prevented"),), MIB)}
    names: dict[str, object] = {"__name__": "rig.klog.explain.measured_remedies"}

    exec(compile(table_text(TABLE.read_text(), measured), "measured", "exec"), names)

    found = names["MEASURED"]
    assert isinstance(found, dict)
    assert found["processes"]["zram"].text == "zram=1G prevented it"

# SPDX-License-Identifier: MIT
"""The figures that the reader must reach on sample logs, where a directory of them is named (RIG_KLOG_SAMPLES)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.benchmarks.klog_samples import Score, score

DIRECTORY = os.environ.get("RIG_KLOG_SAMPLES", "")
WANTED = {"oom": 1.0, "clean": 1.0, "found": 0.97, "title": 0.70, "any": 0.80, "function": 0.85}

pytestmark = [
    pytest.mark.samples,
    pytest.mark.skipif(not DIRECTORY, reason="RIG_KLOG_SAMPLES names no directory of sample logs"),
]


@pytest.fixture(scope="module")
def scores() -> dict[str, Score]:
    return score(Path(DIRECTORY))


@pytest.mark.parametrize("figure", WANTED)
def test_figure_is_reached(scores: dict[str, Score], figure: str) -> None:
    found = scores[figure]

    assert found.total == 0 or found.good / found.total >= WANTED[figure], str(found)

# SPDX-License-Identifier: MIT
"""The figures that the reader must reach on sample logs, where a directory of them is named (RIG_KLOG_SAMPLES)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rig.klog import read
from rig.klog.explain import explain
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


# Reports as people pasted them, each shortened to what one mistake needs: they are kept beside the samples.
SYNTHETIC = {
    "s1": ("mempolicy", "certain", "bound the request to node 1"),
    "s2": ("cma", "certain", "501.6 MB lie in CMA areas"),
    "s3": ("low-zone", "certain", "9.5 GB were free in the other zones"),
    "s4": ("slab", "certain", "The largest cache is leaky_cache"),
    "s5": ("huge-pages", "certain", "none of it is in use"),
    "s6": ("cgroup-kmem", "certain", "kernel memory (kmem): 256.0 MB of 256.0 MB"),
    "s7": ("", "", "was refused; nobody was killed"),
    "s8": ("", "", "was refused; nobody was killed"),
    "s9": ("missing", "unsure", "the part of the report that would show why is missing"),
    "s15": ("slab", "likely", "4.0 GB of 15.7 GB"),
    "s16": ("fragmentation", "certain", "the 29 blocks of that size lie in CMA areas or reserves"),
    "s20": ("processes", "likely", "Programs' own memory filled the machine: 3.4 GB of 3.8 GB"),
    "s21": ("page-fault-path", "likely", "No request for memory failed here"),
}


@pytest.mark.parametrize("name", SYNTHETIC)
def test_shortened_report_is_read_right(name: str) -> None:
    path = Path(DIRECTORY).parent / "klog-synthetic" / f"{name}.txt"
    if not path.is_file():
        pytest.skip("RIG_KLOG_SAMPLES names no directory of sample logs beside which klog-synthetic lies")
    cause, certainty, words = SYNTHETIC[name]

    explanation = explain(read([path.read_bytes()]).events[0])

    assert (explanation.cause, explanation.certainty) == (cause, certainty)
    assert words in explanation.summary[0].text

# SPDX-License-Identifier: MIT
"""A catalogue begins with what took longest last time, and with what was never run before that."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import RigError
from rig.experiment.catalogue import Finished
from rig.experiment.longest_first import DURATIONS, longest_first, note_durations
from rig.experiment.request import Request
from rig.image.store import Store
from rig.run.document import Run

NAMES = ("cow-cost", "fork-fails", "prefault", "respawn")


def order(store: Store) -> list[str]:
    return [each.scenario for each in longest_first(store, [Request(name) for name in NAMES])]


def took(name: str, seconds: float | None) -> Finished:
    run = Run(id="x", scenario=name, started="", verdict="reproduced", host_seconds=seconds)
    return Finished(Request(name), run)


def test_order_is_the_catalogues_before_the_first_run(tmp_path: Path) -> None:
    assert order(Store(tmp_path / "none")) == list(NAMES)


def test_longest_comes_first_and_before_it_what_is_not_known(tmp_path: Path) -> None:
    note_durations(Store(tmp_path), [took("cow-cost", 0.8), took("prefault", 4.0), took("respawn", 1.3)])

    assert order(Store(tmp_path)) == ["fork-fails", "prefault", "respawn", "cow-cost"]


def test_last_run_counts_and_an_error_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    note_durations(store, [took(name, 1.0 + number) for number, name in enumerate(NAMES)])

    failed = Finished(Request("fork-fails"), error=RigError("the guest does not boot"))
    note_durations(store, [took("cow-cost", 9.0), failed, took("respawn", None)])

    assert order(store) == ["cow-cost", "respawn", "prefault", "fork-fails"]


@pytest.mark.parametrize("text", ["", "[1]", '{"prefault": "long"}', "{" * 5000])
def test_damaged_note_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / DURATIONS).write_text(text)

    assert order(Store(tmp_path)) == list(NAMES)

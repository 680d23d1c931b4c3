# SPDX-License-Identifier: MIT
"""rig doctor: when KVM is tried again, and the exit status."""

from __future__ import annotations

import importlib

import pytest

from rig.cli.app import _run
from rig.experiment.doctor import Finding

doctor = importlib.import_module("rig.cli.doctor")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A host that lacks nothing and whose KVM boots no kernel. Returns whether each trial was to be made anew."""
    trials: list[bool] = []

    async def examine_kvm(*, again: bool = False) -> Finding:
        trials.append(again)
        return Finding("note", "kvm", "the kernel hangs")

    monkeypatch.setattr(doctor, "examine", lambda: iter([Finding("ok", "qemu", "7.2")]))
    monkeypatch.setattr(doctor, "examine_kvm", examine_kvm)
    return trials


@pytest.mark.parametrize(
    ("words", "again", "status"),
    [
        ([], False, 0),
        (["--again"], True, 0),
        # What another runner's KVM was worth does not count: it is always tried.
        (["--require-kvm"], True, 1),
        (["--ci", "--require-kvm"], True, 1),
    ],
)
def test_kvm_is_tried_anew_where_it_is_required(words: list[str], again: bool, status: int, asked: list[bool]) -> None:
    assert _run(["doctor", *words]) == status
    assert asked == [again]


def test_host_that_lacks_something_is_not_tried(asked: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter([Finding("bad", "qemu", "none", "install it")]))

    assert _run(["doctor"]) == 1
    assert asked == []

# SPDX-License-Identifier: MIT
"""A rig waits for another one that saves the same guest as long as that may take: the boot or the run, and the memory."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from rig.branch import futures
from rig.experiment import booted
from rig.experiment.execution import Deadlines, Execution
from rig.run.progress import NullProgress


class Waited(Exception):
    """The lock was asked for."""


class _Store:
    def lock_async(self, name: str, deadline: float) -> Any:
        raise Waited(deadline)


def _waits(work: Any) -> float:
    """Return the deadline of the lock that is asked for first, in host seconds before they are scaled."""
    with pytest.raises(Waited) as caught:
        asyncio.run(work)
    return float(caught.value.args[0])


def _guest(memory: int) -> Any:
    return SimpleNamespace(store=_Store(), spec=SimpleNamespace(memory=memory, layers=()), qemu=None)


@pytest.mark.parametrize("wait_for", ["snapshot", "branch point"])
def test_wait_is_as_long_as_the_work_of_the_holder(wait_for: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booted, "identity_of", lambda spec, qemu: {})
    monkeypatch.setattr(booted, "find_snapshot", lambda store, key: None)
    monkeypatch.setattr(futures, "key_of_point", lambda *content: "0" * 64)
    monkeypatch.setattr(futures, "find_branch_point", lambda store, key: None)

    def waits(memory: int, scale: float) -> float:
        guest = _guest(memory)
        if wait_for == "snapshot":
            deadlines = Deadlines(60, 300).scaled(scale)
            return _waits(booted.ensure_snapshot(guest, deadlines, Execution(), NullProgress()))
        origin: Any = SimpleNamespace(
            store=guest.store, guest=guest, snapshot=None, payload="", content=lambda stop: None
        )
        return _waits(futures.saved_point(origin, SimpleNamespace(stop=None), timeout_scale=scale))  # type: ignore[arg-type] # a stand-in

    small, large = waits(128 << 20, 1), waits(64 << 30, 1)

    # A holder that was stopped is not waited for until a tool call's deadline is over, twice 900 s.
    assert small < 900
    # 64 GB go to a slow disk for hours.
    assert large > 3 * 3600
    # --timeout-scale scales it once.
    assert waits(128 << 20, 3) == small

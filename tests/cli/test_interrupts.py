# SPDX-License-Identifier: MIT
"""An interrupt waits for the import that it comes in, whatever came before it, and not for ever."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rig.cli import interrupts

IMPORTING: Any = SimpleNamespace(
    f_code=SimpleNamespace(co_filename="a module"),
    f_globals={"__name__": "a.module"},
    f_back=SimpleNamespace(f_code=SimpleNamespace(co_filename=interrupts.IMPORTLIB), f_back=None),
)


class Host:
    """The host's clock, and the interrupts that are to come again."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.again = 0

    def later(self, *_: object) -> None:
        self.again += 1


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()
    monkeypatch.setattr(interrupts, "time", SimpleNamespace(monotonic=lambda: host.seconds))
    monkeypatch.setattr(interrupts, "_thread", SimpleNamespace(start_new_thread=host.later))
    monkeypatch.setattr(interrupts, "_held_until", [])
    return host


def test_interrupt_long_after_another_waits_for_its_import_too(host: Host) -> None:
    interrupts.interrupt(2, IMPORTING)
    with pytest.raises(KeyboardInterrupt):
        interrupts.interrupt(2, None)
    host.seconds = 2 * interrupts.PATIENCE

    interrupts.interrupt(2, IMPORTING)

    assert host.again == 2


def test_interrupt_of_an_import_that_does_not_end_is_raised(host: Host) -> None:
    interrupts.interrupt(2, IMPORTING)
    host.seconds = interrupts.PATIENCE

    with pytest.raises(KeyboardInterrupt):
        interrupts.interrupt(2, IMPORTING)

    assert host.again == 1

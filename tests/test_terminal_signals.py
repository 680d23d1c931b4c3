# SPDX-License-Identifier: MIT
"""Processes are started whole, and the signals of a terminal do not reach them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from rig.cli.interrupts import hold_interrupts
from rig.terminal_signals import started_without_terminal_signals


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let interrupts be held, as rig's command does, and another thread take the signals that this one blocks."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    end = threading.Event()
    other = threading.Thread(target=end.wait)
    other.start()
    hold_interrupts()
    yield
    signal.signal(signal.SIGINT, before)
    end.set()
    other.join()


def test_interrupt_waits_until_all_is_started(held: None) -> None:
    started = []

    def start() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        started.append(True)

    def started_and_waits() -> None:
        started_without_terminal_signals(start)
        time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        started_and_waits()

    assert started == [True]


def test_process_takes_no_notice_of_what_a_terminal_sends() -> None:
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    started_without_terminal_signals(process.start)
    try:
        assert process.pid is not None
        for number in (signal.SIGINT, signal.SIGHUP):
            os.kill(process.pid, number)
        process.join(0.5)
        assert process.is_alive()
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    finally:
        process.kill()
        process.join()

# SPDX-License-Identifier: MIT
"""Pinning: no two guests are pinned to one host CPU, and a guest without a CPU of its own is not pinned."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig.machine.host_cpu import keep_to, own_cpu

ALLOWED = os.sched_getaffinity(0)


@pytest.mark.skipif(len(ALLOWED) < 2, reason="there is only one CPU")
def test_no_two_guests_keep_to_one_processor() -> None:
    with ExitStack() as stack:
        taken = [stack.enter_context(own_cpu()) for _ in range(len(ALLOWED) + 1)]

    numbers = [each for each in taken if each is not None]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) <= ALLOWED
    assert taken[-1] is None


def test_process_that_is_kept_runs_there_alone() -> None:
    cpu = min(ALLOWED)
    child = subprocess.Popen(["sleep", "60"])
    try:
        keep_to(child.pid, cpu)

        assert os.sched_getaffinity(child.pid) == {cpu}
    finally:
        child.kill()
        child.wait()


def test_all_threads_of_a_process_are_kept() -> None:
    code = "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); print('up', flush=True)"
    cpu = min(ALLOWED)
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()

        keep_to(child.pid, cpu)

        threads = [int(path.name) for path in Path(f"/proc/{child.pid}/task").iterdir()]
        assert len(threads) == 2
        assert all(os.sched_getaffinity(thread) == {cpu} for thread in threads)
    finally:
        child.kill()
        child.wait()


def test_process_that_is_gone_is_passed_over() -> None:
    child = subprocess.Popen(["true"])
    child.wait()

    keep_to(child.pid, min(ALLOWED))

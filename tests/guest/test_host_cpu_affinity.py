# SPDX-License-Identifier: MIT
"""CPU affinity of QEMU on the host: each warp guest is pinned to one CPU, and two guests to different CPUs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import pytest

from tests.guest.conftest import qemus

pytestmark = pytest.mark.guest


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is only one CPU")
def test_warp_guests_at_once_keep_to_a_cpu_each(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "rig", "run", "overcommit-oops", "--to-the-end", "-q"]

    both = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    seen: dict[int, set[int]] = {}
    while len(seen) < 2 and any(each.poll() is None for each in both):
        for pid in qemus(environment):
            with contextlib.suppress(ProcessLookupError):
                if len(affinity := os.sched_getaffinity(pid)) == 1:
                    seen[pid] = affinity
        time.sleep(0.05)
    statuses = [each.wait(timeout=200) for each in both]

    assert statuses == [0, 0]
    # Guests of another rig may hold one of the CPUs. A guest of this test is then not pinned, and not in `seen`.
    assert seen
    assert len({next(iter(affinity)) for affinity in seen.values()}) == len(seen)

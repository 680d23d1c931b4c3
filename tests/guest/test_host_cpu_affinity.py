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
    run = [sys.executable, "-m", "rig", "run", "overcommit-oops", "--to-the-end", "-q"]
    # A CPU is taken by a socket's name, which is one of a network namespace: here no guest of another rig takes one.
    apart = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    both = subprocess.Popen(
        [*apart, "sh", "-c", '"$@" & other=$!; "$@" && wait $other', "sh", *run],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    seen: dict[int, set[int]] = {}
    while len(seen) < 2 and both.poll() is None:
        for pid in qemus(environment):
            with contextlib.suppress(ProcessLookupError):
                if len(affinity := os.sched_getaffinity(pid)) == 1:
                    seen[pid] = affinity
        time.sleep(0.05)

    assert both.wait(timeout=200) == 0
    assert sorted(map(list, seen.values())) == [[cpu] for cpu in sorted(os.sched_getaffinity(0))[-2:]]

# SPDX-License-Identifier: MIT
"""Transparent huge pages are disabled for programs started in the block, and for no others."""

from __future__ import annotations

import subprocess
import sys

from rig.machine.hugepages import without_huge_pages

# PR_GET_THP_DISABLE, include/uapi/linux/prctl.h
ASK = [sys.executable, "-c", "import ctypes; print(ctypes.CDLL(None).prctl(42, 0, 0, 0, 0))"]


def asked() -> str:
    return subprocess.run(ASK, capture_output=True, text=True, check=True).stdout.strip()


def test_what_is_started_in_the_block_gets_no_huge_pages() -> None:
    with without_huge_pages():
        inside = asked()

    assert (inside, asked()) == ("1", "0")

# SPDX-License-Identifier: MIT
"""The live view hides the cursor: a signal that ends it shows the cursor again."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.made_directory import write_directory

RUN = "20250131-120000-abcd"
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


@pytest.mark.parametrize(
    ("number", "until"),
    # Just after the cursor was hidden, and when the view has been drawn.
    [(signal.SIGTERM, HIDE), (signal.SIGHUP, HIDE), (signal.SIGTERM, b"replay")],
    ids=["SIGTERM as it begins", "SIGHUP as it begins", "SIGTERM when it is drawn"],
)
def test_signal_to_the_live_view_shows_the_cursor_again(number: signal.Signals, until: bytes, tmp_path: Path) -> None:
    write_directory(tmp_path / "runs" / RUN)
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "watch", RUN, "--replay", "--seconds", "3600"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "RIG_RUNS": str(tmp_path / "runs"), "RIG_CACHE": str(tmp_path / "cache"), "TERM": "xterm"},
    )
    os.close(terminal)
    try:
        shown = _read(ours, until)
        process.send_signal(number)
        shown += _read(ours)
        status = process.wait()
    finally:
        process.kill()
        process.wait()
        os.close(ours)

    assert status == 128 + number
    assert shown.rindex(SHOW) > shown.rindex(HIDE)


def _read(terminal: int, until: bytes | None = None) -> bytes:
    """Read a terminal until that was written to it, or until the program has ended."""
    found = b""
    while until is None or until not in found:
        assert select.select([terminal], [], [], 60)[0], found
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: nobody has the other end open any more (pty(7))
            break
        if not piece:
            break
        found += piece
    return found

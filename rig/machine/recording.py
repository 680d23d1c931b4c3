# SPDX-License-Identifier: MIT
"""What QEMU's recording file tells of itself (docs/devel/replay.rst, "Replay log format")."""

from __future__ import annotations

from pathlib import Path

__all__ = ["WRITE_ERROR", "is_finished"]

WRITE_ERROR = "replay write error"
"""What QEMU says once, and goes on, when a part of the recording could not be written (replay/replay-internal.c)."""


def is_finished(recording: Path) -> bool:
    """Return whether QEMU ended the recording itself: only then it writes the version into the header."""
    with recording.open("rb") as file:
        return any(file.read(4))

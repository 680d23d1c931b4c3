# SPDX-License-Identifier: MIT
"""Read the header of QEMU's recording file (docs/devel/replay.rst, "Replay log format")."""

from __future__ import annotations

from pathlib import Path

__all__ = ["WRITE_ERROR", "is_finished"]

WRITE_ERROR = "replay write error"
"""QEMU prints this once when it cannot write to the recording, and continues (replay/replay-internal.c)."""


def is_finished(recording: Path) -> bool:
    """Return whether QEMU finished the recording: it writes the version into the header last."""
    with recording.open("rb") as file:
        return any(file.read(4))

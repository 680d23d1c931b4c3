# SPDX-License-Identifier: MIT
"""Read the header of QEMU's recording file (docs/devel/replay.rst, "Replay log format")."""

from __future__ import annotations

from pathlib import Path

__all__ = ["LARGEST_RECORDING", "OVERSHOOT", "WRITE_ERROR", "is_finished"]

LARGEST_RECORDING = 1 << 30
"""Bytes. The main job's recording has less than 1 MB. Each byte on the console takes 14 in a recording (measured)."""
OVERSHOOT = 128 << 20
"""Bytes that a recording may have beyond that, for its size is looked at once a second. Noise on the console made
416 MB in 300 s beside other work; this is room for ninety times that rate."""

WRITE_ERROR = "replay write error"
"""QEMU prints this once when it cannot write to the recording, and continues (replay/replay-internal.c)."""


def is_finished(recording: Path) -> bool:
    """Return whether QEMU finished the recording: it writes the version into the header last."""
    with recording.open("rb") as file:
        return any(file.read(4))

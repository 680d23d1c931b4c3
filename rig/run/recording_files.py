# SPDX-License-Identifier: MIT
"""The files that a replay needs of a recorded run, as paths in the run's directory."""

from __future__ import annotations

__all__ = ["CONTINUATION", "PAYLOAD", "RECORDING", "RECORDING_DIRECTORY"]

RECORDING_DIRECTORY = "recording"
RECORDING = f"{RECORDING_DIRECTORY}/replay.bin"
"""What QEMU recorded."""
PAYLOAD = f"{RECORDING_DIRECTORY}/payload.zst"
"""The image of the plan and its programs."""
CONTINUATION = f"{RECORDING_DIRECTORY}/continuation.zst"
"""The image of the continuation that the run had: blank, unless the run was branched off another."""

# SPDX-License-Identifier: MIT
"""The continuation of a branched run: the image of a small NVDIMM that the agent reads at a branch point.

It is blank in an ordinary run, names the point at which a run is to be stopped, or holds the steps with which a
restored guest goes on. The format is that of guest/agent/branch.c.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError
from rig.image.daximage import ALIGNMENT, write_blank

__all__ = ["CONTINUATION_SIZE", "Continuation", "Stop", "write_continuation"]

CONTINUATION_SIZE = 4 << 20
"""Bytes: the info block of an NVDIMM, and 2 MiB."""
HEADER_AT, TEXT_AT = 2048, 4096
LONGEST_TEXT = 128 << 10
"""PLAN_BYTES of guest/agent/agent.h."""


@dataclass(frozen=True)
class Stop:
    """Where the agent is to stop the machine, so that the host can save the guest.

    step: before the step with this index.
    record: after the record with this number, as soon as the agent waits.
    """

    step: int | None = None
    record: int | None = None

    def fields(self) -> tuple[int, int]:
        """Return stop_step and stop_record of the header, in which 0 stands for none."""
        return (0 if self.step is None else self.step + 1, 0 if self.record is None else self.record + 1)


@dataclass(frozen=True)
class Continuation:
    """The steps with which a restored guest goes on.

    first: index of the step that the first of them replaces.
    text: the steps, in the format of a plan.
    stop: where the continued run is to be stopped in turn.
    """

    first: int
    text: str
    stop: Stop | None = None


def write_continuation(path: Path, content: Continuation | Stop | None = None) -> None:
    """Write the image: a continuation, the point to stop at, or a blank one. Raises RigError when it does not fit."""
    write_blank(path, CONTINUATION_SIZE)
    if content is None:
        return
    text, first, magic = b"", 0, b"rig:stop"
    stop: Stop | None
    if isinstance(content, Continuation):
        text, first, stop, magic = content.text.encode(), content.first, content.stop, b"rig:next"
        if len(text) >= LONGEST_TEXT:
            raise RigError(
                f"the rest of the plan has {len(text)} bytes, and the agent takes {LONGEST_TEXT}",
                remedy="change less, or branch later",
            )
    else:
        stop = content
    with path.open("r+b") as file:
        file.seek(ALIGNMENT + HEADER_AT)
        file.write(struct.pack("<8sQQII", magic, *(stop or Stop()).fields(), first, len(text)))
        file.seek(ALIGNMENT + TEXT_AT)
        file.write(text)

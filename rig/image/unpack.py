# SPDX-License-Identifier: MIT
"""Decompress a part of a recording. The file may come from an imported archive, and be a decompression bomb."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rig.disk import cannot_write
from rig.image.hosttools import tool
from rig.image.programs import STREAM, started_program
from rig.image.sparse import write_sparse

__all__ = ["unpack_zst"]

CHUNK = 1 << 20


def unpack_zst(packed: Path, target: Path, most: int, *, what: str) -> bool:
    """Decompress a file, with holes for blocks of zeros. Return False for a damaged file, and for one that is larger.

    most: bytes. Where there are more, no more than another CHUNK is written.
    what: the target, as in "the unpacked dump", for the message.
    Raises RigError when the target cannot be written.
    """
    command: list[str | Path] = [tool("zstd"), "-q", "-d", "-c", packed]
    size = 0
    try:
        with (
            target.open("wb", buffering=0) as file,
            started_program(command, stderr=subprocess.DEVNULL, deadline=STREAM) as process,
        ):
            assert process.stdout is not None
            while size <= most and (data := process.stdout.read(CHUNK)):
                write_sparse(file.fileno(), data)
                size += len(data)
            file.truncate(size)
            return size <= most and process.wait() == 0
    except OSError as error:
        raise cannot_write(what, target.parent, error) from error

# SPDX-License-Identifier: MIT
"""A file that keeps what a guest says, for as long as the disk takes it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["KeptLog"]


class KeptLog:
    """Open in a `with` block; written through at once.

    failed: why the file lacks what came, where it does: a disk that is full. The guest must not wait for us, come what
    may, so nothing is raised, and nothing more is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.failed: OSError | None = None

    def __enter__(self) -> KeptLog:
        self._file = self._path.open("wb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append, unless an earlier write failed."""
        if self.failed is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.failed = error

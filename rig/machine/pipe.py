# SPDX-License-Identifier: MIT
"""The reading end of a pipe into which QEMU writes what the guest says.

In a recorded guest the host must never be too slow: QEMU 7.2 notes a write that would have blocked, tries it again
when the host has read, and that moment is not in the recording (chardev/char.c writes all at once from 9.0 on). A pipe
takes single bytes into whole pages, a socket takes a buffer for each.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["CAPACITY", "ReadEnd"]

CAPACITY = 1 << 20
"""Bytes: what an unprivileged user may ask for (fs.pipe-max-size)."""


class ReadEnd:
    """Makes `<path>.in` and `<path>.out`, as QEMU's pipe chardev wants them, and opens the second for reading.

    Reading waits until QEMU opens it, and ends when it has closed it. Nothing is ever written to the first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".out")
        for name in (f"{path.name}.in", f"{path.name}.out"):
            os.mkfifo(path.with_name(name), 0o600)
        self.descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        # Where fewer pages are left to this user, the usual 64 KiB have to do.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.descriptor, fcntl.F_SETPIPE_SZ, CAPACITY)

    def file(self) -> FileIO:
        """Return the end as a file that owns it."""
        return FileIO(self.descriptor, "rb")

    def release(self) -> None:
        """Let a reader that waits for QEMU see the end."""
        with contextlib.suppress(OSError):
            os.close(os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self.descriptor)

# SPDX-License-Identifier: MIT
"""The read end of a pipe into which QEMU writes the guest's output.

While QEMU records, a write to the host must never block. QEMU 7.2 retries a write that would have blocked once the host
has read, and the moment of the retry is not in the recording. (From 9.0 on chardev/char.c writes all at once.) A pipe
packs single bytes into whole pages; a socket spends a buffer on each write and is full much sooner.
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
"""Bytes: the default of fs.pipe-max-size, the most that an unprivileged user may ask for (pipe(7))."""


class ReadEnd:
    """Make the FIFOs `<path>.in` and `<path>.out` of QEMU's pipe chardev, and open `<path>.out` for reading.

    A read waits until QEMU opens the FIFO. It reports the end of file after QEMU has closed it. Nothing is ever written
    to `<path>.in`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".out")
        # QEMU opens both FIFOs for reading and writing, or `path` itself where one of them is missing
        # (qemu_chr_open_pipe(), chardev/char-pipe.c). So QEMU has a read end too, and a write after rig's end raises no
        # SIGPIPE in it.
        for name in (f"{path.name}.in", f"{path.name}.out"):
            os.mkfifo(path.with_name(name), 0o600)
        self.descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        # EPERM past fs.pipe-user-pages-soft: the default of 64 KiB then has to do.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.descriptor, fcntl.F_SETPIPE_SZ, CAPACITY)

    def file(self) -> FileIO:
        """Return a file object that owns the descriptor."""
        return FileIO(self.descriptor, "rb")

    def release(self) -> None:
        """Make a reader that still waits for QEMU see the end of file, by opening and closing the write end."""
        with contextlib.suppress(OSError):
            os.close(os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self.descriptor)

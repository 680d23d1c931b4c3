# SPDX-License-Identifier: MIT
"""Give the bytes of a log while it is written: of a pipe, of /dev/kmsg, or of a file that grows and is rotated."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rig.errors import UsageError

__all__ = ["follow"]

_PIECE = (
    1 << 16
)  # bytes; /dev/kmsg wants room for a whole record, at most 8 KiB (CONSOLE_EXT_LOG_MAX, printk/internal.h)
_LOOK = 0.25  # seconds between two looks at a file that has not grown


def follow(source: str, *, quiet: float, waiting: Callable[[], bool]) -> Iterator[bytes | None]:
    """Yield the bytes as they come, and None when none came for `quiet` seconds while waiting() is true.

    source: a path, or `-` for standard input. A pipe ends when its writer does; /dev/kmsg and files never end.
    Raises UsageError for a source that cannot be opened.
    """
    if source == "-":
        yield from _stream(sys.stdin.fileno(), quiet, waiting)
        return
    with _opened(source) as fd:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            yield from _file(source, fd, quiet, waiting)
        else:
            yield from _stream(fd, quiet, waiting)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(
            f"the log cannot be opened: {error.strerror}",
            where=path,
            remedy="give a file, /dev/kmsg, or - for standard input",
        ) from error
    try:
        yield fd
    finally:
        os.close(fd)


def _stream(fd: int, quiet: float, waiting: Callable[[], bool]) -> Iterator[bytes | None]:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while True:
        if not poll.poll(quiet * 1000 if waiting() else None):
            yield None
            continue
        try:
            data = os.read(fd, _PIECE)
        except BlockingIOError:
            continue
        except BrokenPipeError:
            continue  # /dev/kmsg: records were overwritten before they were read; the next read goes on behind them
        if not data:
            return
        yield data


def _file(path: str, fd: int, quiet: float, waiting: Callable[[], bool]) -> Iterator[bytes | None]:
    silent = 0.0
    with contextlib.ExitStack() as replaced:
        while True:
            data = os.read(fd, _PIECE)
            if data:
                silent = 0.0
                yield data
                continue
            time.sleep(_LOOK)
            silent += _LOOK
            if silent >= quiet and waiting():
                yield None
            with contextlib.suppress(OSError):  # between a rotation's two steps there is no file
                now, ours = Path(path).stat(), os.fstat(fd)
                if (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino):
                    replaced.close()
                    fd = replaced.enter_context(_opened(path))
                elif now.st_size < os.lseek(fd, 0, os.SEEK_CUR):
                    os.lseek(fd, 0, os.SEEK_SET)

# SPDX-License-Identifier: MIT
"""Opens what people keep kernel logs in: plain files, .gz, .xz, .bz2 and .zst, standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rig.errors import RigError, UsageError
from rig.klog import Event, Log, read

__all__ = ["open_log", "read_log", "resolve_log"]

_CONSOLE = "console.log"  # in a run's directory
_CHUNK = 1 << 18
_ZSTD_PIECE = 2048  # a block of 4 bytes may stand for 128 KiB (RFC 8878, RLE_Block): at most 64 MiB at once
_MAGIC = (
    (b"\x1f\x8b", "gz"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bz2"),
    (b"\x28\xb5\x2f\xfd", "zst"),
)


@contextmanager
def open_log(source: str) -> Iterator[Iterator[bytes]]:
    """Yield an iterator over the log's bytes, decompressed. The compression is recognized by content, not by name.

    source: a path, or `-` for standard input.

    Raises UsageError for a source that cannot be opened, RigError for one that cannot be decompressed.
    """
    if source == "-":
        yield _chunks(_decompressed(sys.stdin.buffer, "standard input"), "standard input")
        return
    path = Path(source)
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(
            f"the log cannot be opened: {error.strerror}",
            where=path,
            remedy="give a file, a run's directory, or - for standard input",
        ) from error
    with file:
        yield _chunks(_decompressed(file, source), source)


def _decompressed(file: IO[bytes], name: str) -> IO[bytes]:
    head = file.peek(6)[:6] if hasattr(file, "peek") else b""
    form = next((form for magic, form in _MAGIC if head.startswith(magic)), None)
    stream: Any = file
    if form == "gz":
        import gzip

        stream = gzip.GzipFile(fileobj=file)
    elif form == "xz":
        import lzma

        stream = lzma.LZMAFile(file)  # noqa: SIM115 -- lives as long as the file below it
    elif form == "bz2":
        import bz2

        stream = bz2.BZ2File(file)
    elif form == "zst":
        stream = _zstd(file, name)
    opened: IO[bytes] = stream
    return opened


def _zstd(file: IO[bytes], name: str) -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd  # part of Python since 3.14

        return zstd.ZstdFile(file)
    try:
        import zstandard
    except ImportError as error:
        raise RigError(
            "this Python cannot read zstd",
            where=name,
            remedy="pip install zstandard, or decompress it: zstdcat FILE | rig explain",
        ) from error
    return _ZstdReader(file, zstandard.ZstdDecompressor())


class _ZstdReader:
    """Decompresses frame after frame. zstandard's own reader takes a frame that is cut for one that ends."""

    def __init__(self, file: IO[bytes], decompressor: Any) -> None:
        self._file = file
        self._decompressor = decompressor
        self._frame: Any = None

    def read(self, _size: int) -> bytes:
        """Return some bytes, b"" at the end. Raises EOFError where the file ends within a frame."""
        while True:
            piece = self._frame.unused_data if self._frame is not None and self._frame.eof else b""
            piece = piece or self._file.read(_ZSTD_PIECE)
            if not piece:
                if self._frame is not None and not self._frame.eof:
                    raise EOFError("Compressed file ended before the end-of-stream marker was reached")
                return b""
            if self._frame is None or self._frame.eof:
                self._frame = self._decompressor.decompressobj()
            data: bytes = self._frame.decompress(piece)
            if data:
                return data


def _chunks(stream: IO[bytes], name: str) -> Iterator[bytes]:
    # A pipe gives what it has: a log that is still being written is read as it comes.
    read = getattr(stream, "read1", stream.read)
    while True:
        try:
            chunk = read(_CHUNK)
        except Exception as error:  # every decompressor has an exception of its own
            raise RigError(
                f"the log cannot be read: {error}", where=name, remedy="check that the file is complete"
            ) from error
        if not chunk:
            return
        yield chunk


def read_log(source: str, *, keep_lines: bool = False, keep: Callable[[Event], Event] = lambda event: event) -> Log:
    """Return the events of a log: of a file, of a run, or of standard input for `-`; see read() for the options."""
    if source == "-" and sys.stdin.isatty():
        print("rig: reading a kernel log from standard input; Ctrl-D ends it", file=sys.stderr)
    with open_log(resolve_log(source)) as chunks:
        return read(chunks, keep_lines=keep_lines, keep=keep)


def resolve_log(source: str) -> str:
    """Return the log's path, or `-`: of a file, of a directory with a console's log in it, of a run by its name."""
    path = Path(source)
    if source == "-" or path.is_file() or (path.exists() and not path.is_dir()):
        return source
    if path.is_dir():
        directory = path
    else:
        from rig.run.directory import resolve_run

        try:
            directory = resolve_run(source)
        except UsageError as error:
            raise UsageError(
                "there is no such file, and no such run", where=source, remedy="'rig runs' lists the runs"
            ) from error
    if not (directory / _CONSOLE).is_file():
        raise UsageError(f"this directory has no {_CONSOLE}", where=directory, remedy="give the log file itself")
    from rig.run.damage import warn_of_damaged_file

    warn_of_damaged_file(directory / _CONSOLE)
    return str(directory / _CONSOLE)

"""The agent's port: bytes to the file first, then records' lines to whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

__all__ = ["Channel"]

# PROTOCOL.md bounds a record at 64 KiB; the guest is not trusted to keep to it.
LONGEST_RECORD = 256 << 10


class Channel:
    """Reads the agent's records from QEMU's connection to its end.

    on_line: called with each line; before: what the agent said before the snapshot, which the file begins with.
    """

    def __init__(self, log: Path, on_line: Callable[[bytes], None], before: bytes = b"") -> None:
        self._log = log
        self._before = before
        self._on_line = on_line
        self._server: asyncio.Server | None = None
        self._ended = asyncio.Event()

    async def listen(self, path: Path) -> None:
        """Begin to listen on a unix socket; QEMU connects."""
        self._server = await asyncio.start_unix_server(self._read, path=str(path))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tail = b""
        try:
            with self._log.open("wb", buffering=0) as log:
                log.write(self._before)
                while data := await reader.read(65536):
                    log.write(data)
                    *lines, tail = (tail + data).split(b"\n")
                    for line in lines:
                        self._on_line(line)
                    if len(tail) > LONGEST_RECORD:
                        self._on_line(tail)
                        tail = b""
        except ConnectionError:
            pass
        finally:
            if tail:
                self._on_line(tail)
            self._ended.set()
            writer.close()

    async def drain(self, timeout: float) -> bool:
        """Wait until QEMU has closed the port; say whether it did in that time (seconds)."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), timeout)
        return self._ended.is_set()

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

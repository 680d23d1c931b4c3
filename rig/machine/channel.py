# SPDX-License-Identifier: MIT
"""The agent's port: bytes to the file first, then records' lines to whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from rig.machine.pipe import ReadEnd
from rig.machine.tee_log import KeptLog

__all__ = ["Channel"]

# docs/reference/agent-protocol.md bounds a record at 64 KiB; the guest is not trusted to keep to it.
LONGEST_RECORD = 256 << 10


class Channel:
    """Reads the agent's records from QEMU's connection to its end.

    on_line: called with each line; before: what the agent said before the snapshot, which the file begins with;
    on_data: called with all bytes of the file as they come.
    """

    def __init__(
        self,
        log: Path,
        on_line: Callable[[bytes], None],
        before: bytes = b"",
        on_data: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        self._log = KeptLog(log)
        self._before = before
        self._on_line = on_line
        self._on_data = on_data
        self._end: ReadEnd | None = None
        self._transport: asyncio.BaseTransport | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    @property
    def failed(self) -> OSError | None:
        """Why the file lacks what came, where it does."""
        return self._log.failed

    async def listen(self, path: Path) -> None:
        """Begin to read from a pipe; QEMU opens the other end."""
        self._end = ReadEnd(path)
        reader = asyncio.StreamReader()
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._end.file()
        )
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        tail = b""
        try:
            with self._log as log:
                log.write(self._before)
                self._on_data(self._before)
                while data := await reader.read(65536):
                    log.write(data)
                    self._on_data(data)
                    *lines, tail = (tail + data).split(b"\n")
                    for line in lines:
                        self._on_line(line)
                    if len(tail) > LONGEST_RECORD:
                        self._on_line(tail)
                        tail = b""
        finally:
            if tail:
                self._on_line(tail)
            self._ended.set()

    async def drain(self, timeout: float) -> bool:
        """Wait until QEMU has closed the port; say whether it did in that time (seconds)."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), timeout)
        return self._ended.is_set()

    def close(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.close()
        if self._reading is not None:
            self._reading.cancel()

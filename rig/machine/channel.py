# SPDX-License-Identifier: MIT
"""The agent's port. Every byte is written to events.jsonl first; each record's line then goes to the listeners."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from rig.finishing import within
from rig.machine.pipe import ReadEnd
from rig.machine.tee_log import Ration, TeeLog

__all__ = ["Channel"]

# docs/reference/agent-protocol.md limits a record to 64 KiB. The guest is not trusted: a longer line is cut here.
LONGEST_RECORD = 256 << 10
LONGEST_LINES, LONGEST_OTHERS = 16 << 20, 64 << 20
"""Limits of events.jsonl in bytes: for the records of lines that programs printed, and for all other records."""


class Channel:
    """Read the agent's records from the moment that QEMU opens the pipe until QEMU closes it.

    on_line: called with each record's line.
    before: what the agent reported before the snapshot was taken; the file begins with it.
    on_data: called with every byte that is written to the file, as it arrives.
    """

    def __init__(
        self,
        log: Path,
        on_line: Callable[[bytes], None],
        before: bytes = b"",
        on_data: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        self._log = TeeLog(log)
        self.kept = Ration(LONGEST_LINES, LONGEST_OTHERS)
        self.bytes_seen = 0
        self._before = before
        self._on_line = on_line
        self._on_data = on_data
        self._end: ReadEnd | None = None
        self._transport: asyncio.BaseTransport | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    @property
    def failed(self) -> OSError | None:
        """The error after which nothing more was written to the file, or None."""
        return self._log.failed

    async def listen(self, path: Path) -> None:
        """Start to read from a pipe. QEMU opens its other end."""
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
                    self.bytes_seen += len(data)
                    *lines, tail = (tail + data).split(b"\n")
                    while len(tail) > LONGEST_RECORD:
                        # Too long to be a record. A fixed length makes a replay cut at the same byte, however
                        # read() splits the stream.
                        lines, tail = [*lines, tail[:LONGEST_RECORD]], tail[LONGEST_RECORD:]
                    self._keep(log, list(self.kept.take(lines)))
                self._keep(log, list(self.kept.rest()))
                if tail:
                    self._keep(log, [tail], end=b"")
        finally:
            self._ended.set()

    def _keep(self, log: TeeLog, lines: list[bytes], end: bytes = b"\n") -> None:
        data = b"".join(line + end for line in lines)
        log.write(data)
        self._on_data(data)
        for line in lines:
            self._on_line(line)

    async def drain(self, still: float) -> bool:
        """Read until QEMU closes the port, and return whether it did.

        still: seconds without a byte after which this gives up.
        """
        seen = -1
        while not self._ended.is_set() and seen != self.bytes_seen:
            seen = self.bytes_seen
            with contextlib.suppress(TimeoutError):
                await within(still, self._ended.wait())
        return self._ended.is_set()

    def close(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.close()
        if self._reading is not None:
            self._reading.cancel()

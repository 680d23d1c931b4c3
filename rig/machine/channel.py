# SPDX-License-Identifier: MIT
"""The agent's port: bytes to the file first, then records' lines to whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from rig.machine.pipe import ReadEnd
from rig.machine.tee_log import Ration, TeeLog

__all__ = ["Channel"]

# docs/reference/agent-protocol.md bounds a record at 64 KiB; the guest is not trusted to keep to it.
LONGEST_RECORD = 256 << 10
LONGEST_LINES, LONGEST_OTHERS = 16 << 20, 64 << 20
"""Bytes of events.jsonl: of what programs printed, and of all other records."""


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
                    self.bytes_seen += len(data)
                    *lines, tail = (tail + data).split(b"\n")
                    while len(tail) > LONGEST_RECORD:
                        # Not a record. It is cut at the same place in a replay, however the bytes come.
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
        """Read until QEMU has closed the port, and return whether it did.

        Gives up when nothing came for `still` seconds.
        """
        seen = -1
        while not self._ended.is_set() and seen != self.bytes_seen:
            seen = self.bytes_seen
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), still)
        return self._ended.is_set()

    def close(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.close()
        if self._reading is not None:
            self._reading.cancel()

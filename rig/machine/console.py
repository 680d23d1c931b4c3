# SPDX-License-Identifier: MIT
"""The guest's serial console: every byte goes to the file first, then lines to whoever listens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pexpect
from pexpect.fdpexpect import fdspawn

from rig.machine.pipe import ReadEnd
from rig.machine.tee_log import HeadAndTail, TeeLog

__all__ = ["Console"]

# A guest may print a line of a megabyte; what is looked at in one piece is bounded.
LONGEST_LINE = 64 << 10
LONGEST_LOG, LONGEST_END = 24 << 20, 1 << 20
"""Bytes of console.log: its beginning, and its end, where a panic is."""


class Console:
    """Reads ttyS0 from QEMU's connection to its end, in a thread of its own.

    on_line: called in that thread with each line (bytes, without its end); on_data: with all bytes as they come.
    """

    def __init__(
        self,
        end: ReadEnd,
        log: Path,
        on_line: Callable[[bytes], None],
        on_data: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        self._end = end
        self._log = TeeLog(log)
        self.kept = HeadAndTail(LONGEST_LOG, LONGEST_END)
        self._on_line = on_line
        self._on_data = on_data
        self._tail = b""
        self.lines_seen = 0
        self.bytes_seen = 0
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    @property
    def failed(self) -> OSError | None:
        """Why the file lacks what came, where it does."""
        return self._log.failed

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def _run(self) -> None:
        with self._end, self._log as log:
            spawn: fdspawn[bytes] = fdspawn(
                self._end.descriptor, timeout=None, maxread=65536, searchwindowsize=4096, use_poll=True
            )
            spawn.delaybeforesend = None
            while True:
                try:
                    data = spawn.read_nonblocking(65536, timeout=None)
                except (pexpect.EOF, OSError):
                    break
                kept = self.kept.take(data)
                self.bytes_seen += len(data)
                log.write(kept)
                self._on_data(kept)
                # What is not kept is not shown either: a guest that prints fast must not wait.
                self._feed(kept)
            rest = self.kept.rest()
            log.write(rest)
            self._on_data(rest)
            self._feed(rest)
        if self._tail:
            self._tell(self._tail)

    def _feed(self, data: bytes) -> None:
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._tail) > LONGEST_LINE:
            self._tell(self._tail)
            self._tail = b""

    def _tell(self, line: bytes) -> None:
        self.lines_seen += 1
        self._on_line(line.rstrip(b"\r"))

    def drain(self, still: float) -> bool:
        """Read until QEMU has closed the console, and return whether it did.

        Gives up when nothing came for `still` seconds.
        """
        seen = -1
        while self._thread.is_alive() and seen != self.bytes_seen:
            seen = self.bytes_seen
            self._thread.join(still)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Stop waiting for a QEMU that did not come; what one wrote is read to its end."""
        self._end.release()
        self._thread.join(1)

# SPDX-License-Identifier: MIT
"""The guest's serial console. Every byte is written to console.log first; each line then goes to the listeners."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pexpect
from pexpect.fdpexpect import fdspawn

from rig.machine.pipe import ReadEnd
from rig.machine.tee_log import HeadAndTail, TeeLog

__all__ = ["Console"]

# A guest may print a line of a megabyte. Listeners get at most this many bytes at once.
LONGEST_LINE = 64 << 10
LONGEST_LOG, LONGEST_END = 24 << 20, 1 << 20
"""Limits in bytes for the beginning of console.log and for its end, which holds a panic."""


class Console:
    """Read ttyS0 in a separate thread, from the moment that QEMU opens the pipe until QEMU closes it.

    on_line: called in that thread with each line, as bytes without the line end.
    on_data: called in that thread with every byte that is kept, as it arrives.
    before: what the guest printed before the snapshot was taken; the file begins with it.
    """

    def __init__(
        self,
        end: ReadEnd,
        log: Path,
        on_line: Callable[[bytes], None],
        on_data: Callable[[bytes], None] = lambda data: None,
        before: bytes = b"",
    ) -> None:
        self._end = end
        self._log = TeeLog(log)
        self.kept = HeadAndTail(LONGEST_LOG, LONGEST_END)
        self._on_line = on_line
        self._on_data = on_data
        self._before = before
        self._tail = b""
        self.lines_seen = 0
        self.bytes_seen = 0
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    @property
    def failed(self) -> OSError | None:
        """The error after which nothing more was written to the file, or None."""
        return self._log.failed

    def start(self) -> None:
        """Start the reading thread."""
        self._thread.start()

    def _run(self) -> None:
        with self._end, self._log as log:
            spawn: fdspawn[bytes] = fdspawn(
                self._end.descriptor, timeout=None, maxread=65536, searchwindowsize=4096, use_poll=True
            )
            spawn.delaybeforesend = None
            log.write(self._before)
            self._on_data(self._before)
            while True:
                try:
                    data = spawn.read_nonblocking(65536, timeout=None)
                except (pexpect.EOF, OSError):
                    break
                kept = self.kept.take(data)
                self.bytes_seen += len(data)
                log.write(kept)
                self._on_data(kept)
                # Listeners do not get dropped bytes: parsing them would slow the reader, and so the guest.
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
        """Read until QEMU closes the console, and return whether it did.

        still: seconds without a byte after which this gives up.
        """
        seen = -1
        while self._thread.is_alive() and seen != self.bytes_seen:
            seen = self.bytes_seen
            self._thread.join(still)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Stop waiting for a QEMU that never opened the pipe. Output that a QEMU wrote is still read to its end."""
        self._end.release()
        self._thread.join(1)

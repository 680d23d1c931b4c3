"""The guest's serial console: every byte goes to the file first, then lines to whoever listens."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pexpect
from pexpect.socket_pexpect import SocketSpawn

__all__ = ["Console"]

# A guest may print a line of a megabyte; what is looked at in one piece is bounded.
LONGEST_LINE = 64 << 10


class Console:
    """Reads ttyS0 from QEMU's connection to its end, in a thread of its own.

    on_line: called in that thread with each line (bytes, without its end).
    """

    def __init__(self, listener: socket.socket, log: Path, on_line: Callable[[bytes], None]) -> None:
        self._listener = listener
        self._log = log
        self._on_line = on_line
        self._tail = b""
        self.lines_seen = 0
        self.bytes_seen = 0
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    def start(self) -> None:
        """Begin to accept and read."""
        self._thread.start()

    def _run(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection, self._log.open("wb", buffering=0) as log:
            spawn: SocketSpawn[bytes] = SocketSpawn(connection, timeout=None, maxread=65536, searchwindowsize=4096)
            spawn.delaybeforesend = None
            while True:
                try:
                    data = spawn.read_nonblocking(65536, timeout=None)
                except (pexpect.EOF, OSError):
                    break
                log.write(data)
                self._feed(data)
        if self._tail:
            self._tell(self._tail)

    def _feed(self, data: bytes) -> None:
        self.bytes_seen += len(data)
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._tail) > LONGEST_LINE:
            self._tell(self._tail)
            self._tail = b""

    def _tell(self, line: bytes) -> None:
        self.lines_seen += 1
        self._on_line(line.rstrip(b"\r"))

    def drain(self, timeout: float) -> bool:
        """Wait until QEMU has closed the console; say whether it did in that time (seconds)."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Stop listening; a connection that was accepted is read to its end."""
        # accept() in another thread does not wake on close(); shutdown() wakes it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(1)

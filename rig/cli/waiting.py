# SPDX-License-Identifier: MIT
"""How far work on many bytes is, and when it will end: one line on a terminal, which goes away at the end."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console

from rig.time_left import time_left
from rig.units import format_megabytes

__all__ = ["Waiting"]

EVERY = 0.2
"""Seconds between two changes of the line."""


class Waiting:
    """A line such as `120.0 of 510.3 MB, about 4 s left`; nothing where the console is not a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("")
        self._began = self._shown = time.monotonic()

    def __enter__(self) -> Waiting:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._status.stop()

    def at(self, done: int, total: int) -> None:
        """Take how many bytes are done, and how many there are."""
        now = time.monotonic()
        if now - self._shown >= EVERY:
            self._shown = now
            left = time_left(done, total - done, now - self._began)
            self._status.update(f"{format_megabytes(done)} of {format_megabytes(total)}{left}")

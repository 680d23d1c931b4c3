# SPDX-License-Identifier: MIT
"""Compare a byte stream with a recorded file while the stream arrives, and report the first difference."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Comparison", "Difference", "Replayed"]

# Bytes of either side that are shown around the first difference.
EXCERPT = 120


@dataclass(frozen=True)
class Difference:
    """The first difference of two streams.

    offset: bytes, from 0.
    line: line number, from 1.
    expected, got: the differing line of each side.
    """

    name: str
    offset: int
    line: int
    expected: bytes
    got: bytes


class Comparison:
    """Compares incoming bytes with a recorded file, or, where the file is gone, with its SHA-256 at the end.

    name: the file's name in messages.
    digest: SHA-256 of the whole file, as run.json records it.
    """

    def __init__(self, name: str, file: Path, digest: str = "") -> None:
        self.name = name
        self.digest = digest
        self.expected = file.read_bytes() if file.is_file() else None
        self.difference: Difference | None = None
        self.seen = 0
        self._line = 1
        self._tail = b""
        self._hash = hashlib.sha256()

    def feed(self, data: bytes) -> None:
        """Compare the next bytes. After the first difference, bytes are only counted."""
        self._hash.update(data)
        if self.expected is not None and self.difference is None:
            wanted = self.expected[self.seen : self.seen + len(data)]
            if wanted != data:
                self._differ(data, wanted)
        self.seen += len(data)
        self._line += data.count(b"\n")
        self._tail = (self._tail + data)[-EXCERPT:].rpartition(b"\n")[2]

    def _differ(self, data: bytes, wanted: bytes) -> None:
        same = next((index for index, pair in enumerate(zip(data, wanted, strict=False)) if pair[0] != pair[1]), None)
        at = len(wanted) if same is None else same
        before = (self._tail + data[:at])[-EXCERPT:].rpartition(b"\n")[2]
        assert self.expected is not None
        rest = self.expected[self.seen + at : self.seen + at + EXCERPT]
        self.difference = Difference(
            self.name,
            self.seen + at,
            self._line + data[:at].count(b"\n"),
            before + rest.split(b"\n")[0],
            before + data[at : at + EXCERPT].split(b"\n")[0],
        )

    @property
    def missing(self) -> int | None:
        """Return how many bytes of the file have not arrived yet; None when there is no file."""
        return None if self.expected is None else max(0, len(self.expected) - self.seen)

    @property
    def identical(self) -> bool:
        """Return whether exactly the recorded bytes arrived."""
        if self.difference is not None or self.missing:
            return False
        return not self.digest or self._hash.hexdigest() == self.digest


@dataclass(frozen=True)
class Replayed:
    """The outcome of a replay.

    problem: why the replay did not reach its end; empty when it did.
    host_seconds: duration of the replay.
    recorded_seconds: duration of the plan when it was recorded.
    cut: the recording is shorter than run.json says.
    """

    console: Comparison
    events: Comparison
    problem: str
    host_seconds: float
    recorded_seconds: float | None = None
    cut: bool = False

    @property
    def identical(self) -> bool:
        """Return whether the replay reached its end and both streams were identical."""
        return not self.problem and self.console.identical and self.events.identical

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Return the first difference of each stream that differs."""
        return tuple(each.difference for each in (self.console, self.events) if each.difference is not None)

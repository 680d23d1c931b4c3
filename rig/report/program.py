# SPDX-License-Identifier: MIT
"""A program's run in the terminal: its output as it is printed, and how it ended if the exit status does not tell."""

from __future__ import annotations

import base64
import binascii
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from rig.run.progress import NullProgress
from rig.sanitize import plain

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = ["OutputProgress", "output_bytes", "print_ending"]

# Phases of every run, not worth a line. Any other phase takes long and is reported.
USUAL = frozenset({"prepare", "restore", "plan", "judge"})


class OutputProgress(NullProgress):
    """Pass on the program's output, and report on standard error the slow phases before its start.

    A terminal gets the output without control characters; a file or a pipe gets every byte as it was printed.
    """

    def __init__(self, *, quiet: bool = False, out: BinaryIO | None = None, err: BinaryIO | None = None) -> None:
        self._quiet = quiet
        self._out = sys.stdout.buffer if out is None else out
        self._err = sys.stderr.buffer if err is None else err

    def phase(self, name: str) -> None:
        if name not in USUAL and not self._quiet:
            self._err.write(f"rig: {plain(name)}\n".encode())
            self._err.flush()

    def output(self, record: Mapping[str, Any]) -> None:
        stream = self._err if record.get("stream") == "stderr" else self._out
        data = output_bytes(record)
        if stream.isatty():
            end = b"" if record.get("open") else b"\n"
            data = plain(data.decode(errors="replace"), longest=1 << 20).encode() + end
        stream.write(data)
        stream.flush()


def output_bytes(record: Mapping[str, Any]) -> bytes:
    """Return what a program printed, from a `line` record: with the newline, unless none came (`open`)."""
    text, raw = record.get("text"), record.get("bytes")
    data = str(text).encode(errors="replace") if text is not None else b""
    if isinstance(raw, str):
        # The guest is not trusted: for an invalid encoding use the text.
        with contextlib.suppress(binascii.Error, ValueError):
            data = base64.b64decode(raw, validate=True)
    return data if record.get("open") else data + b"\n"


def print_ending(run: Run, directory: Path, problems: tuple[str, ...] = (), hint: str = "") -> None:
    """Print on standard error what the exit status does not tell: an OOM or panic with its explanation, and `problems`.

    problems: why the program did not start or did not end, what was not as expected, and why the run is invalid.
    hint: what the user can try.
    """
    from rich.text import Text

    from rig.report.console import error_console
    from rig.report.terminal import render_ending

    console = error_console()
    for sentence in _explained(directory / "console.log") if run.ooms or run.panic else ():
        console.print(Text(plain(sentence)), soft_wrap=not console.is_terminal)
    for part in render_ending(run, directory):
        console.print(part, soft_wrap=not console.is_terminal)
    for line in problems:
        console.print(Text(f"rig: {plain(line)}", "bold"), soft_wrap=True)
    if hint:
        console.print(Text(f"  try: {plain(hint)}"), soft_wrap=True)


def _explained(console_log: Path) -> list[str]:
    """Return the summary of the first OOM, or else of the first panic, in the kernel's log."""
    from rig.klog import read
    from rig.klog.explain import explain

    with console_log.open("rb") as file:
        log = read(file)
    events = sorted((event for event in log.events if event.kind in ("oom", "panic")), key=lambda e: e.kind != "oom")
    return [sentence.text for event in events[:1] for sentence in explain(event).summary]

# SPDX-License-Identifier: MIT
"""Progress of a run: the interface that the terminal view, the plain log and the tests implement."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from rig.run.records import Record

__all__ = ["NullProgress", "Progress", "show_record"]


class Progress(Protocol):
    """Receives the events of a run while the run is in progress.

    A context manager: leaving the block removes a live view from the terminal.
    """

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def phase(self, name: str) -> None:
        """Report the start of a phase: `build image`, `boot`, `restore`, `plan` or `judge`."""

    def step(self, name: str) -> None:
        """Report that the plan reached a step, a mark, or a sample with a label."""

    def guest_time(self, seconds: float) -> None:
        """Report the guest's clock, in seconds since its boot."""

    def sample(self, record: Mapping[str, Any]) -> None:
        """Report a `sample` record of the agent, unchanged."""

    def line(self, text: str) -> None:
        """Report a line for the user: output of a program in the guest, or a message of rig."""

    def output(self, record: Mapping[str, Any]) -> None:
        """Report a `line` record of the agent, unchanged: output of a program in the guest."""

    def console(self, text: str) -> None:
        """Report a line of the guest's console. console.log holds all lines, so a view may drop some."""


class NullProgress:
    """A Progress that shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    def phase(self, name: str) -> None:
        return

    def step(self, name: str) -> None:
        return

    def guest_time(self, seconds: float) -> None:
        return

    def sample(self, record: Mapping[str, Any]) -> None:
        return

    def line(self, text: str) -> None:
        return

    def output(self, record: Mapping[str, Any]) -> None:
        self.line(f"{record.get('program')}: {record.get('text')}")

    def console(self, text: str) -> None:
        return


def show_record(record: Record, progress: Progress) -> None:
    """Forward one record of the agent to `progress`."""
    progress.guest_time(float(record["t"]))
    ev: Any = record["ev"]
    if ev == "sample":
        progress.sample(record)
    elif ev == "line":
        progress.output(record)
    elif ev == "mark":
        progress.line(f"mark {record.get('name')}")
        progress.step(str(record.get("name")))
    elif ev == "step":
        progress.step(f"step {record.get('i')}: {record.get('verb')}{'' if record.get('ok') else ' failed'}")
    elif ev == "oom":
        progress.line("the kernel invoked the OOM killer")
        progress.step("OOM")

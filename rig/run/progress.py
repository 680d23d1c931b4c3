# SPDX-License-Identifier: MIT
"""Progress of a run: the interface that a terminal, a plain log and a test each implement."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from rig.run.records import Record

__all__ = ["NullProgress", "Progress", "show_record"]


class Progress(Protocol):
    """Receives the events of a run while it goes on.

    A context manager: a live view is removed when the block is left.
    """

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def phase(self, name: str) -> None:
        """A new phase has begun: `build image`, `boot`, `restore`, `plan`, `judge`."""

    def step(self, name: str) -> None:
        """A step of the plan, or a mark or a sample with a label, has been reached."""

    def guest_time(self, seconds: float) -> None:
        """The guest's clock, in seconds since its boot."""

    def sample(self, record: Mapping[str, Any]) -> None:
        """A sample record of the agent, unchanged."""

    def line(self, text: str) -> None:
        """A line that the user should see: printed by a program in the guest, or a remark of rig itself."""

    def output(self, record: Mapping[str, Any]) -> None:
        """A `line` record of the agent, unchanged: what a program in the guest printed."""

    def console(self, text: str) -> None:
        """A line of the guest's console. There may be hundreds; console.log holds all of them."""


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
    """Pass one record of the agent on to `progress`."""
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

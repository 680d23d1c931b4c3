# SPDX-License-Identifier: MIT
"""The data model of a kernel log: events, their tasks and traces, and the lines that could not be parsed.

All classes are frozen dataclasses, because a log of OOM reports has thousands of task rows and a pydantic model for
each row takes several times as long to build. `schema.py` gives the pydantic view of the same classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rig.klog.kinds import Kind

__all__ = ["Event", "Frame", "Registers", "Task", "TextLine", "Trace"]


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of the log as it stands after its prefix (time, caller, syslog header) was taken off.

    line: number in the input, from 1.
    """

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the kernel names it: comm is at most 15 bytes (TASK_COMM_LEN), pid as init's namespace sees
    it.
    """

    comm: str
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a call trace: `function+offset/size [module]`.

    reliable is False for entries with a question mark: addresses found on the stack that the unwinder could
    not connect (arch/x86/kernel/dumpstack.c). offset and size are bytes; None where the line gives none, as
    for a function that was inlined. source is `file:line` where the log was symbolized already.
    """

    function: str
    offset: int | None
    size: int | None
    module: str | None
    reliable: bool
    line: int
    address: int | None = None
    source: str | None = None
    inlined: bool = False


@dataclass(frozen=True, slots=True)
class Registers:
    """The registers of one interrupted context, by the names that the log gives them.

    where: the instruction pointer as printed (`do_exit+0x17/0x30` or `0033:0x7f5ba27c6d6f`).
    """

    where: str | None = None
    values: dict[str, int] = field(default_factory=dict)
    code: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """A call trace, innermost frame first."""

    frames: tuple[Frame, ...] = ()
    registers: tuple[Registers, ...] = ()
    line: int | None = None

    @property
    def functions(self) -> tuple[str, ...]:
        """Return the function names of the reliable frames, innermost first."""
        return tuple(frame.function for frame in self.frames if frame.reliable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that the kernel reported.

    number: position in the log, from 1. time: seconds since the guest's
    boot, or None where the log carries none. host: the machine's name, where syslog or the
    journal wrote one. line, last_line: numbers in the input, from 1.
    alternatives: other titles under which the same report is known. caused_by: number of the event that led
    here. unknown: lines inside the report that were not understood.
    """

    kind: Kind
    number: int = 0
    time: float | None = None
    wall: str | None = None
    host: str | None = None
    caller: str | None = None
    line: int = 0
    last_line: int = 0
    title: str = ""
    alternatives: tuple[str, ...] = ()
    function: str | None = None
    corrupted: bool = False
    corruption: str | None = None
    caused_by: int | None = None
    cpu: int | None = None
    task: Task | None = None
    kernel: str | None = None
    taint: str | None = None
    hardware: str | None = None
    trace: Trace = Trace()
    unknown: tuple[TextLine, ...] = ()

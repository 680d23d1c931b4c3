# SPDX-License-Identifier: MIT
"""Events of a single line, such as a program's segfault or trap, or a refused overcommit request.

Sources: show_signal_msg() in arch/x86/mm/fault.c, __vm_enough_memory() in mm/util.c, do_trap() in
arch/x86/kernel/traps.c, arm64_show_signal() in arch/arm64/kernel/traps.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rig.klog.builder import Builder
from rig.klog.event import Event, Task
from rig.klog.kinds import Kind
from rig.klog.prefix import Prefix

__all__ = ["KEYWORDS", "RULES", "OneLineBuilder", "OneLineEvent", "OneLineRule", "find_one_line"]


@dataclass(frozen=True, slots=True)
class OneLineRule:
    """A kind of line that is an event by itself.

    keyword: a literal that every such line contains.
    pattern: a regular expression whose groups `comm` and `pid` name the task; other groups become the event's values.
    """

    kind: Kind
    keyword: str
    pattern: str


_SEGFAULT = (
    r"(?P<comm>.{1,15}?)\[(?P<pid>\d+)\]: segfault at (?P<address>[0-9a-f]+) ip (?P<ip>[0-9a-f]+) sp "
    r"(?P<sp>[0-9a-f]+) "
    r"error (?P<error>[0-9a-f]+)(?: in (?P<object>.*?)\[(?P<base>[0-9a-f,]+)\+(?P<size>[0-9a-f]+)\])?"
)
_TRAP = (
    r"traps: (?P<comm>.{1,15}?)\[(?P<pid>\d+)\] (?P<what>general protection(?: fault)?|trap [\w ]+"
    r"|divide error"
    r"|invalid opcode|stack segment|int3|bounds|alignment check)\s?,? ip:(?P<ip>[0-9a-f]+) sp:"
    r"(?P<sp>[0-9a-f]+) "
    r"error:(?P<error>[0-9a-f]+)(?: in (?P<object>.*?)\[(?P<base>[0-9a-f,]+)\+(?P<size>[0-9a-f]+)\])?"
)
_ARM64 = r"(?P<comm>.{1,15}?)\[(?P<pid>\d+)\]: unhandled (?:signal|exception):? (?P<what>.*)$"
# Since 6.11 the line has the bytes and the reason. Before: `__vm_enough_memory: pid: 70, comm: a, no enough memory for
# the allocation`, without a size.
_REFUSED = (
    r"__vm_enough_memory: pid: ?(?P<pid>\d+), comm: ?(?P<comm>.*?),?(?: bytes: ?\d+)? "
    r"(?P<what>(?:not|no) enough memory for the allocation)"
)
_BYTES = re.compile(r"bytes: ?(?P<bytes>\d+)")


RULES = (
    OneLineRule(Kind.COMMIT_REFUSED, "__vm_enough_memory", _REFUSED),
    OneLineRule(Kind.SEGFAULT, "segfault at", _SEGFAULT),
    OneLineRule(Kind.TRAP, "traps: ", _TRAP),
    OneLineRule(Kind.TRAP, "]: unhandled ", _ARM64),
)
KEYWORDS = tuple(rule.keyword for rule in RULES)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneLineEvent(Event):
    """An event that one line reports. values: what the line says, by name, as printed."""

    values: dict[str, str] = field(default_factory=dict)


def find_one_line(text: str) -> tuple[Kind, re.Match[str]] | None:
    """Return the kind of a one-line event and the match; None for a line that is not such an event."""
    for rule in RULES:
        if rule.keyword in text:
            match = re.search(rule.pattern, text)  # re compiles the pattern at its first use and caches it
            if match is not None:
                return rule.kind, match
    return None


class OneLineBuilder(Builder):
    """Builds an event from its only line."""

    def __init__(self, line: int, prefix: Prefix, found: tuple[Kind, re.Match[str]]) -> None:
        super().__init__(line, prefix)
        self.kind, self._match = found
        self.finished = True
        self._text = ""

    def take(self, text: str, line: int) -> bool:
        if line != self.line:
            return False
        self._text = text
        return True

    def close(self) -> Event:
        values = {name: value for name, value in self._match.groupdict().items() if value is not None}
        wanted = _BYTES.search(self._text)
        if wanted is not None:
            values["bytes"] = wanted["bytes"]
        comm, pid = values.pop("comm").strip(), int(values.pop("pid"))
        return OneLineEvent(
            **{**self.base(), "task": Task(comm, pid)},
            kind=self.kind,
            title=_title(self.kind, comm, values),
            values=values,
        )


def _title(kind: Kind, comm: str, values: dict[str, str]) -> str:
    if kind is Kind.COMMIT_REFUSED:
        return f"commitment refused to {comm}"
    where = f" in {values['object']}" if values.get("object") else ""
    return f"{values.get('what', 'segfault').strip()} of {comm}{where}"

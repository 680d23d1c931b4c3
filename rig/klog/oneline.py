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
    pattern: a regular expression whose groups `comm` and `pid`, where it has them, name the task; other groups become
        the event's values.
    by: the program that killed, for Kind.USER_KILL; it becomes the value `by`.
    """

    kind: Kind
    keyword: str
    pattern: str
    by: str = ""


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


# Sources: src/oom/oomd-manager.c in systemd; kill.c in earlyoom; implement_corrective_action() in nohang;
# system/memory/lmkd/lmkd.cpp and
# drivers/staging/android/lowmemorykiller.c (until 4.11) of Android; runtime/oom.go in Talos; eviction_manager.go in
# Kubernetes.
_OOMD = (
    r"systemd-oomd(?:\[\d+\])?: (?:Killed|Marked) (?P<object>\S+) (?:for killing )?due to "
    r"(?P<what>memory pressure for .*|memory used .*|swap used .*)"
)
_EARLYOOM = (
    r"earlyoom(?:\[\d+\])?: sending (?P<signal>SIG\w+) to process (?P<pid>\d+)(?: uid \d+)? "
    r'"(?P<comm>[^"]*)": (?P<what>.*)'
)
_OOMD_UNIT = r"(?P<object>[\w:.@\\-]+): systemd-oomd killed (?P<what>(?:some|\d+) process\(es\) in this unit)"
_NOHANG = r"Sending (?P<signal>SIGTERM|SIGKILL) to the victim$"  # the name is in an earlier line
_LMKD = (
    r"(?:lmkd|lowmemorykiller).{0,20}?: Kill(?:ing)? '(?P<comm>[^']*)' \((?P<pid>\d+)\),? (?P<what>.*?)"
    r"(?: to free (?P<rss>\d+)kB(?: rss, (?P<swap>\d+)kB swap)?(?:; reason: (?P<reason>.*))?)?$"
)
_TALOS = r'Sending SIGKILL to cgroup \{.*?"cgroup": ?"(?P<object>[^"]+)"'
_KUBELET = r'viction manager: pod (?:(?P<old>\S+) )?is evicted successfully"?(?: pod="(?P<object>[^"]+)")?'

RULES = (
    OneLineRule(Kind.USER_KILL, "systemd-oomd", _OOMD, "systemd-oomd"),
    OneLineRule(Kind.USER_KILL, "earlyoom", _EARLYOOM, "earlyoom"),
    OneLineRule(Kind.USER_KILL, "systemd-oomd killed", _OOMD_UNIT, "systemd-oomd"),
    OneLineRule(Kind.USER_KILL, " to the victim", _NOHANG, "nohang"),
    OneLineRule(Kind.USER_KILL, "lmkd", _LMKD, "lmkd"),
    OneLineRule(Kind.USER_KILL, "lowmemorykiller", _LMKD, "Android's low memory killer"),
    OneLineRule(Kind.USER_KILL, "Sending SIGKILL to cgroup", _TALOS, "Talos"),
    OneLineRule(Kind.USER_KILL, "viction manager: pod", _KUBELET, "kubelet"),
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


def find_one_line(text: str) -> tuple[OneLineRule, re.Match[str]] | None:
    """Return the rule of a one-line event and the match; None for a line that is not such an event."""
    for rule in RULES:
        if rule.keyword in text:
            match = re.search(rule.pattern, text)  # re compiles the pattern at its first use and caches it
            if match is not None:
                return rule, match
    return None


class OneLineBuilder(Builder):
    """Builds an event from its only line."""

    def __init__(self, line: int, prefix: Prefix, found: tuple[OneLineRule, re.Match[str]]) -> None:
        super().__init__(line, prefix)
        self._rule, self._match = found
        self.kind = self._rule.kind
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
        comm, pid = values.pop("comm", "").strip(), values.pop("pid", None)
        if self._rule.by:
            values["by"] = self._rule.by
            values["object"] = values.pop("old", "") or values.get("object", "")
        return OneLineEvent(
            **{**self.base(), "task": Task(comm, None if pid is None else int(pid)) if comm else None},
            kind=self.kind,
            title=_title(self.kind, comm, values),
            values=values,
        )


def _title(kind: Kind, comm: str, values: dict[str, str]) -> str:
    if kind is Kind.USER_KILL:
        return f"killed by {values['by']}: {comm or values['object'] or 'a process that the lines above name'}"
    if kind is Kind.COMMIT_REFUSED:
        return f"commitment refused to {comm}"
    where = f" in {values['object']}" if values.get("object") else ""
    return f"{values.get('what', 'segfault').strip()} of {comm}{where}"

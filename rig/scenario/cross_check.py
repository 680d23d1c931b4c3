# SPDX-License-Identifier: MIT
"""Cross-check the console log against sources that the guest's programs cannot forge.

A program that runs as root can write any text to /dev/kmsg, /dev/console and /dev/ttyS0, so the console alone proves
nothing. An OOM report is accepted when all three of these agree with it:

- /dev/kmsg has its lines with facility 0 (LOG_KERN). The kernel never gives that facility to text that user space
  writes there (devkmsg_write(), kernel/printk/printk.c).
- oom_kill in /proc/vmstat counted its kills.
- memory.events of the cgroup at its limit counted an OOM.

The agent relays MOST_RELAYED lines of /dev/kmsg; above that, only the counters are compared.

The body of a report, and reports of other kinds, are compared in compare_reports.py.

A counter that the agent could read at the plan's begin and not at its end tells nothing: the run is `invalid`.

A panic is accepted when QEMU reported GUEST_PANICKED, and its words are compared with the kernel's log in the guest's
memory (rig/machine/printk_ring.py), where the kernel describes that. Any disagreement makes the run `invalid`.

The console may also tell too little: a program that runs as root can turn it off (printk's parameter ignore_loglevel,
then SYSLOG_ACTION_CONSOLE_OFF of syslog(2)). So kills and panics that the console lacks make the run `invalid` too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from rig.klog import Event, OomEvent
from rig.run.document import Claimed, Shown
from rig.scenario.after_end import may_be_after_end
from rig.scenario.compare_reports import Compared
from rig.scenario.evidence import Evidence
from rig.scenario.kernel_lines import Signature, kernel_lines, key_events, signature

__all__ = ["AGREES", "cross_check"]

AGREES = "kernel-said-it"
TEXT = "what the log tells of out-of-memory kills, crashes and panics is the kernel's own"
MOST_SHOWN = 5
MOST_RELAYED = 2000
"""Lines of the kernel's own about OOM kills that the agent relays from /dev/kmsg (guest/agent/kmsg.c)."""

COUNTERS = {
    "oom_kill": "vmstat's oom_kill",
    "tainted": "kernel.tainted",
    "hung_tasks": "kernel.hung_task_detect_count",
}
"""The counters in `go` and `end`, by their fields. A kernel that lacks one gives -1 or null in both."""


def cross_check(evidence: Evidence, compared: Compared) -> Claimed | None:
    """Return the condition that the kernel itself wrote the log's reports, or None if that cannot be checked.

    compared: how the console's reports compare with the kernel's own lines.
    There is nothing to check when no source tells of a report or a panic, and it cannot be checked when the agent
    cannot read /dev/kmsg.
    """
    go = evidence.records.first("go") or {}
    reports, panics = evidence.ooms(), evidence.panics()
    unread = list(_unread(evidence))
    told = reports or panics or compared.reports or compared.problems or unread
    if go.get("kmsg") is not True or not (told or _counted_kills(evidence) or evidence.panicked):
        return None
    problems = [*_forged_reports(evidence), *_forged_panics(evidence), *_hidden(evidence), *compared.problems]
    if problems and not evidence.records.complete:
        return _claim("invalid", "records of the agent were lost: whether the kernel said all of it cannot be told")
    asked = [str(spawn.get("program")) for spawn in evidence.records.of("spawn") if spawn.get("privileged") is True]
    values = [_shown("reports", len(reports)), _shown("panics", len(panics)), *_from_programs(evidence)]
    if evidence.log_at_panic is not None:
        values.append(_shown("records_read_from_memory", len(evidence.log_at_panic)))
    if compared.doubts:
        values.append(_shown("unconfirmed", [doubt.what for doubt in compared.doubts[:MOST_SHOWN]]))
    if go.get("own_mounts") is False:
        values.append(_shown("can_be_forged_by", "any program that mounts a file over /proc or /sys"))
    if asked:
        values.append(_shown("can_be_forged_by", ", ".join(sorted(set(asked)))))
    verdict = "failed" if problems else "invalid" if unread else "held"
    return _claim(verdict, "; ".join([*problems, *unread][:MOST_SHOWN]), values)


def _forged_reports(evidence: Evidence) -> Iterator[str]:
    kernels = _signatures(key_events(evidence))
    if evidence.log_at_panic is not None and (lines := kernel_lines(evidence)) is not None:
        # An agent that itself waits for memory relays nothing of the reports before the panic.
        kernels |= _signatures(lines.events)
    unmatched = []
    # Those with a time before the plan, too: a program may print any time.
    reports = [report for report in evidence.log.ooms if not may_be_after_end(evidence, report)]
    for report in reports:
        announced = signature(report)
        if kernels[announced]:
            kernels[announced] -= 1
        else:
            unmatched.append(report)
    # The panic stops the agent before it can read the last report from /dev/kmsg, so that one may be unmatched.
    if unmatched and unmatched[-1] is reports[-1] and _ended_in_oom_panic(evidence):
        unmatched.pop()
    if sum(record.get("facility") == 0 for record in evidence.records.of("kmsg")) >= MOST_RELAYED:
        # The agent relayed no more, so a report that is not matched may well be the kernel's. The kills are counted.
        unmatched = []
    for report in unmatched:
        what = f"line {report.line} of console.log ({report.title})"
        yield f"{what} is not the kernel's: the kernel's log has no such record of it"
    kills = sum(len(report.kills) for report in reports if report not in unmatched)
    counted = _counted_kills(evidence)
    if counted is not None and counted < kills:
        yield f"the log tells of {kills} kills, and vmstat's oom_kill counted {counted}"
    yield from _uncounted_groups(evidence)


def _signatures(events: Iterable[Event]) -> Counter[Signature]:
    return Counter(signature(event) for event in events if isinstance(event, OomEvent))


def _uncounted_groups(evidence: Evidence) -> Iterator[str]:
    counted = {record.get("cgroup") for record in evidence.records.of("memory_events") if record.get("oom")}
    for report in evidence.ooms():
        group = report.constraint_values.get("oom_memcg")
        seen = any(record.get("cgroup") == group for record in evidence.records.of("memory_events"))
        if group and seen and group not in counted:
            yield f"the log tells of a full cgroup {group}, whose memory.events counted no OOM"


def _forged_panics(evidence: Evidence) -> Iterator[str]:
    panics = evidence.panics()
    if len(panics) > 1:
        yield f"the log tells of {len(panics)} panics, and a kernel panics once"
    if panics and evidence.panic_seen() is False:
        yield f"line {panics[0].line} of console.log tells of a panic, and QEMU saw none (GUEST_PANICKED)"


def _hidden(evidence: Evidence) -> Iterator[str]:
    """Say what the kernel did and the console does not show."""
    shown, counted = sum(len(report.kills) for report in evidence.ooms()), _counted_kills(evidence)
    # Of a console above its bound the middle is left out, with the kills that it told of.
    if counted is not None and counted > shown and not evidence.console_left_out:
        yield f"vmstat's oom_kill counted {counted}, and the log tells of {shown} kills"
    if evidence.panic_seen() and not evidence.panics():
        yield "QEMU saw a panic (GUEST_PANICKED), and the log tells of none"


def _ended_in_oom_panic(evidence: Evidence) -> bool:
    """Return whether the panic is one of check_panic_on_oom() or out_of_memory(), both in mm/oom_kill.c."""
    panics = evidence.panics()
    return len(panics) == 1 and evidence.panic_seen() is not False and "memory" in panics[0].reason.lower()


def _counted_kills(evidence: Evidence) -> int | None:
    first = (evidence.records.first("go") or {}).get("oom_kill")
    last = (evidence.end() or {}).get("oom_kill")
    known = isinstance(first, int) and isinstance(last, int) and 0 <= first <= last
    return last - first if known and isinstance(first, int) and isinstance(last, int) else None


def _unread(evidence: Evidence) -> Iterator[str]:
    """Say which counters could not be read at the plan's end: a program may lower the agent's RLIMIT_NOFILE to 0."""
    go, end = evidence.records.first("go") or {}, evidence.end() or {}
    for name, what in COUNTERS.items():
        if _is_count(go.get(name)) and name in end and not _is_count(end[name]):
            yield f"{what} could not be read at the plan's end"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _from_programs(evidence: Evidence) -> list[Shown]:
    """Return the lines that user space wrote to the kernel log, marked as such for the reader."""
    texts = [str(each.get("text", "")) for each in evidence.records.of("kmsg") if each.get("facility") != 0]
    return [_shown("written_by_programs", [text[:200] for text in texts[:MOST_SHOWN]])] if texts else []


def _shown(name: str, value: Any) -> Shown:
    return Shown(name=name, value=value, shown="; ".join(value) if isinstance(value, list) else str(value))


def _claim(verdict: Any, reason: str = "", values: Iterable[Shown] = ()) -> Claimed:
    return Claimed(id=AGREES, text=TEXT, kind="condition", verdict=verdict, values=tuple(values), reason=reason)

# SPDX-License-Identifier: MIT
"""The kernel's log as the agent relayed it from /dev/kmsg, beside the console, on which programs can write too.

A panic stops the agent before it has relayed all of it. The newest records are then read from the guest's memory.

Only the kernel's own messages have facility 0 there: it never gives that facility to text that user space writes
(devkmsg_write(), kernel/printk/printk.c). But it prints names that programs choose, as that of the file in which one
crashed (print_vma_addr(), mm/memory.c), and a name may have lines. So no report begins within a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rig.klog import Event, OomEvent, read
from rig.scenario.evidence import Evidence

__all__ = ["KernelLines", "Signature", "kernel_lines", "key_events", "signature"]

CONSOLE_TAKEN = re.compile(rb";(?:printk: )?(?:legacy )?console \[\w+\] disabled$")
"""unregister_console(), kernel/printk/printk.c."""

Signature = tuple[Any, ...]


@dataclass(frozen=True)
class KernelLines:
    """The events in the kernel's first lines since the agent opened /dev/kmsg, which it relays whole.

    console_taken: whether a program took the console from the kernel (`console` of a serial port in sysfs).
    complete: whether the agent relayed every line up to its `end`. After a panic there is no `end`, and the last
    report may be missing unless the log was read from memory.
    to_panic_from: seconds of printk's clock from which all is known up to the panic, its own lines among it; None
    where there was no panic, and where the log could not be read from memory.
    """

    events: tuple[Event, ...]
    complete: bool
    console_taken: bool = False
    to_panic_from: float | None = None

    def has_all_of(self, report: Event) -> bool:
        """Return whether these lines have a report, if the kernel wrote it."""
        late = self.to_panic_from is not None and report.time is not None and report.time >= self.to_panic_from
        return self.complete or late


def kernel_lines(evidence: Evidence) -> KernelLines | None:
    """Return what the agent relayed whole; None for an agent that did not, or that cannot read /dev/kmsg."""
    go = evidence.records.first("go") or {}
    if go.get("kmsg") is not True or "kernel_lines" not in go:
        return None
    end = evidence.end()
    complete = end is not None and end.get("kernel_left_out") == 0 and evidence.records.complete
    relayed = [line for record in evidence.records.of("kernel") for line in str(record.get("text", "")).splitlines()]
    lines = _lines([*relayed, *_after(relayed, evidence.log_at_panic or ())])
    times = [_field(line, 2) for line in evidence.log_at_panic or ()]
    to_panic_from = times[0] / 1e6 if times else None
    taken = any(CONSOLE_TAKEN.search(line) for line, _ in lines)
    return KernelLines(_events(lines), complete, taken, to_panic_from)


def key_events(evidence: Evidence) -> tuple[Event, ...]:
    """Return the events in the lines that announce a kill, of which the agent relays more than of others."""
    texts = [str(each.get("text", "")) for each in evidence.records.of("kmsg") if each.get("facility") == 0]
    return _events([each for text in texts for each in _parts(_unescaped(text))])


def signature(report: OomEvent) -> Signature:
    """Return what the lines that announce a kill say of a report, to compare two of them."""
    invoker = (report.invoker.comm, report.invoker.pid) if report.invoker else None
    kills = tuple((kill.pid, kill.comm, kill.total_vm_kb, kill.anon_rss_kb, kill.reason) for kill in report.kills)
    return invoker, report.gfp_mask, report.order, tuple(sorted(report.constraint_values.items())), kills


def _after(relayed: list[str], at_panic: Iterable[str]) -> Iterator[str]:
    """Yield the kernel's own records in the log at the panic that the agent had not relayed."""
    last = _field(relayed[-1], 1) if relayed else -1
    for line in at_panic:
        if _field(line, 0) >> 3 == 0 and _field(line, 1) > last:
            yield line


def _field(line: str, index: int) -> int:
    """Return a number of a record's head: 0 the facility and level, 1 the sequence number, 2 the microseconds."""
    fields = line.partition(";")[0].split(",")
    return int(fields[index]) if index < len(fields) and fields[index].isdecimal() else 0


Line = tuple[bytes, bool]
"""A line, and whether it is the first of its message."""


def _lines(records: Iterable[str]) -> list[Line]:
    """Return the lines as /dev/kmsg has them, `4,123,456789,-;text`; a message of several lines becomes several."""
    heads = [(head.encode() + b";", text) for head, _, text in (line.partition(";") for line in records)]
    return [(head + part, first) for head, text in heads for part, first in _parts(_unescaped(text))]


def _parts(message: bytes) -> Iterator[Line]:
    first = True
    for part in message.split(b"\n"):
        yield part + b"\n", first
        first = False


def _events(lines: list[Line]) -> tuple[Event, ...]:
    """Return the events that begin with a message."""
    events = read([b"".join(line for line, _ in lines)]).events
    return tuple(event for event in events if event.line > len(lines) or lines[event.line - 1][1])


def _unescaped(text: str) -> bytes:
    """Undo the escapes of /dev/kmsg: the kernel prints unprintable bytes as \\xNN (kernel/printk/printk.c)."""
    raw = text.encode("utf-8", errors="replace")
    return re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), raw)

# SPDX-License-Identifier: MIT
"""The facts that a guest reported for its checks: the program's lines, and the kernel log between a check's marks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from rig.klog import PanicEvent, read
from rig.telemetry.records import read_records

__all__ = ["collect_facts", "kernel_facts", "program_facts"]

# CHECK, or CHECK~CONDITION for the mutant that negates a condition.
_TITLE = r"(?P<title>[a-z0-9-]+(?:~[a-z0-9_.-]+)?)"
_LINE = re.compile(rf"check {_TITLE} (?P<facts>\S.*)")
_BEGIN = re.compile(rb"^.*rig-verify: begin " + _TITLE.encode() + rb"\s*$", re.MULTILINE)
_END = re.compile(rb"^.*rig-verify: end .*$", re.MULTILINE)


def collect_facts(directory: Path) -> dict[str, dict[str, str]]:
    """Return the facts of each check of a guest's run: title of the check -> fact -> value."""
    records = (record for record in read_records(directory / "events.jsonl").items if record["ev"] == "line")
    found = program_facts(str(record.get("text")) for record in records)
    for title, facts in kernel_facts((directory / "console.log").read_bytes()).items():
        found.setdefault(title, {}).update(facts)
    return found


def program_facts(lines: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the facts in the program's lines; a check may have several lines."""
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is not None:
            words = (word.partition("=") for word in match["facts"].split(" "))
            found.setdefault(match["title"], {}).update({key: value for key, _, value in words})
    return found


def kernel_facts(console: bytes) -> dict[str, dict[str, str]]:
    """Return what the kernel reported while each check ran: OOM reports and panics between its marks."""
    found = {}
    for begin in _BEGIN.finditer(console):
        # A check that panics the kernel has no end mark, and no other check can follow it.
        end = _END.search(console, begin.end())
        part = console[begin.end() : end.start() if end else len(console)]
        found[begin["title"].decode()] = _facts(part)
    return found


def _facts(part: bytes) -> dict[str, str]:
    log = read([part])
    ooms = log.ooms
    panics = [event for event in log.events if isinstance(event, PanicEvent)]
    facts = {"ooms": str(len(ooms)), "panics": str(len(panics))}
    if ooms:
        first = ooms[0]
        facts |= {
            "oom_constraint": first.constraint or "none",
            "oom_invoker": first.invoker.comm if first.invoker else "none",
            "oom_victim": first.victim.comm if first.victim else "nobody",
            "oom_order": str(first.order),
            "oom_tasks": str(len(first.tasks)),
            "oom_memcg": first.oom_memcg or "none",
        }
        # dump_header() of mm/oom_kill.c prints a cgroup's counters only for an OOM of that cgroup.
        facts |= {f"oom_limit_{usage.name}": str(usage.limit_kb) for usage in first.cgroup}
    if panics:
        facts["panic"] = panics[0].reason or "none"
    return facts

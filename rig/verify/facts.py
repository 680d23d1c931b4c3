# SPDX-License-Identifier: MIT
"""What a guest said of its checks: the programs' lines, and the kernel's words between two marks."""

from __future__ import annotations

import re
from pathlib import Path

from rig.klog import OomEvent, PanicEvent, read
from rig.telemetry.records import read_records

__all__ = ["facts_of", "kernel_facts"]

_LINE = re.compile(r"check (?P<name>[a-z0-9-]+) (?P<facts>\S.*)")
_BEGIN = re.compile(rb"^.*rig-verify: begin (?P<name>[a-z0-9-]+)\s*$", re.MULTILINE)
_END = re.compile(rb"^.*rig-verify: end .*$", re.MULTILINE)


def facts_of(folder: Path) -> dict[str, dict[str, str]]:
    """Return, for each check of a guest's run, what was seen: name -> fact -> value."""
    found: dict[str, dict[str, str]] = {}
    for record in read_records(folder / "events.jsonl").items:
        if record["ev"] != "line":
            continue
        match = _LINE.fullmatch(str(record.get("text")))
        if match is not None:
            words = (word.partition("=") for word in match["facts"].split(" "))
            found[match["name"]] = {key: value for key, _, value in words}
    for name, facts in kernel_facts((folder / "console.log").read_bytes()).items():
        found.setdefault(name, {}).update(facts)
    return found


def kernel_facts(console: bytes) -> dict[str, dict[str, str]]:
    """Return what the kernel said while each check ran: OOM reports and panics between its marks."""
    found = {}
    for begin in _BEGIN.finditer(console):
        # A check that ends the kernel has no end mark; the next one's begin cannot follow either.
        end = _END.search(console, begin.end())
        part = console[begin.end() : end.start() if end else len(console)]
        found[begin["name"].decode()] = _facts(part)
    return found


def _facts(part: bytes) -> dict[str, str]:
    events = read([part]).events
    ooms = [event for event in events if isinstance(event, OomEvent)]
    panics = [event for event in events if isinstance(event, PanicEvent)]
    facts = {"ooms": str(len(ooms)), "panics": str(len(panics))}
    if ooms:
        first = ooms[0]
        facts |= {
            "oom_constraint": first.constraint or "none",
            "oom_invoker": first.invoker.comm if first.invoker else "none",
            "oom_victim": first.victim.comm if first.victim else "nobody",
            "oom_order": str(first.order),
            "oom_tasks": str(len(first.tasks)),
        }
    if panics:
        facts["panic"] = panics[0].reason or "none"
    return facts

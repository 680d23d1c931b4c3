# SPDX-License-Identifier: MIT
"""Tell what a program took from the machine that the plan had made: swap, memory, and the limits of its own cgroup.

None of this is a file that the plan has written, so that reading those again does not show it.
"""

from __future__ import annotations

from collections.abc import Iterator

from rig.scenario.evidence import Evidence
from rig.scenario.settings_made import time_of
from rig.units import format_megabytes

__all__ = ["machine_changes"]

TOTALS = {"MemTotal": ("mem_total_kb", "memory"), "SwapTotal": ("swap_total_kb", "swap")}
"""Fields of /proc/meminfo -> the field of `end` with the same, and what it is."""


def machine_changes(evidence: Evidence) -> Iterator[str]:
    """Yield a sentence for each change that a program made to what the plan had set up."""
    yield from _less(evidence, "MemTotal")
    # A program may turn off swap that it has turned on itself.
    if any(step.verb == "swapon" for step in evidence.plan.steps):
        # A page of each device is its header.
        asked = evidence.settings.swap + evidence.settings.zram - 2 * evidence.page_size()
        yield from _less(evidence, "SwapTotal", max(asked, 0) // 1024)
    yield from _left_cgroups(evidence)


def _less(evidence: Evidence, field: str, first: int = 0) -> Iterator[str]:
    """Yield that there was less memory or swap than before. The plan only adds swap, and memory stays as it is.

    first: kB that the plan has set up.
    """
    at_end, what = TOTALS[field]
    most, when = first, "at first"
    readings = [((sample.get("meminfo") or {}).get(field), sample) for sample in evidence.records.of("sample")]
    end = evidence.end()
    readings += [(end.get(at_end), end)] if end is not None else []
    for total, record in readings:
        if not isinstance(total, int):
            continue
        if total < most:
            now, before = format_megabytes(total * 1024), format_megabytes(most * 1024)
            yield f"the guest had {before} of {what} {when}, and {now} {time_of(record)}"
            return
        if total > most:
            most, when = total, time_of(record)


def _left_cgroups(evidence: Evidence) -> Iterator[str]:
    seen = set()
    for record in evidence.records.of("left_cgroup"):
        if record.get("pid") not in seen:
            seen.add(record.get("pid"))
            where = f"/{record.get('now')}"
            yield f"{record.get('comm')} ({record.get('pid')}) had left the cgroup {record.get('cgroup')} for {where}"
    placed = _placed(evidence)
    for report in evidence.ooms():
        group = str(report.constraint_values.get("task_memcg", ""))
        for kill in report.kills:
            wanted = placed.get(kill.pid)
            if wanted and group and kill.pid not in seen and not f"{group}/".startswith(f"/{wanted}/"):
                seen.add(kill.pid)
                killed = f"{kill.comm} ({kill.pid}) was killed in the cgroup {group}"
                yield f"{killed}, and the plan had put it into {wanted}"


def _placed(evidence: Evidence) -> dict[int, str]:
    """Return by pid the cgroup that the plan has put each program into."""
    groups = {
        words["program"]: words["cgroup"]
        for step in evidence.plan.steps
        if step.verb == "spawn" and (words := dict(step.words)).get("cgroup")
    }
    spawned = [(record.get("pid"), groups.get(str(record.get("program")))) for record in evidence.records.of("spawn")]
    return {pid: group for pid, group in spawned if isinstance(pid, int) and group}

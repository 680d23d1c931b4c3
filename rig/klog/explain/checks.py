# SPDX-License-Identifier: MIT
"""Compare figures that a report holds twice, to tell a damaged log from an intact one.

The sum on a line must match the figures of that line exactly. The kernel reads the figures of different lines at
different moments, so they may differ by what a running system allocates or frees in between.
"""

from __future__ import annotations

from rig.klog.explain.explanation import Check
from rig.klog.oom.oom_event import OomEvent

__all__ = ["checks"]


def checks(event: OomEvent) -> tuple[Check, ...]:
    """Run every check that the report holds the figures for."""
    found: list[Check] = []
    found += _buddies(event)
    found += _rss_parts(event)
    found += _constraint(event)
    found += _kill_and_row(event)
    found += _zone_sums(event)
    found += _table(event)
    if event.unknown:
        found.append(
            Check(
                "every line was understood",
                False,
                f"{len(event.unknown)} lines inside the report were not: other messages between its "
                f"lines, or a new kernel",
                tuple(line.line for line in event.unknown[:8]),
            )
        )
    return tuple(found)


def _buddies(event: OomEvent) -> list[Check]:
    wrong, lines, seen = [], [], 0
    for zone in event.zones:
        if zone.buddy_total_kb is None or zone.buddy_line is None:
            continue
        seen += 1
        total = sum(order.count * order.size_kb for order in zone.buddy)
        if total != zone.buddy_total_kb:
            wrong.append(f"{zone.name} of node {zone.node}: {total} kB counted, {zone.buddy_total_kb} kB printed")
            lines.append(zone.buddy_line)
    if not seen:
        return []
    return [Check("buddy lists add up to their sums", not wrong, "; ".join(wrong) or f"{seen} zones", tuple(lines))]


def _rss_parts(event: OomEvent) -> list[Check]:
    wrong, lines, seen = [], [], 0
    for row in event.tasks:
        if row.rss_anon is None or row.rss_file is None or row.rss_shmem is None:
            continue
        seen += 1
        parts = row.rss_anon + row.rss_file + row.rss_shmem
        # The kernel reads the counters one after the other, while the task may be running.
        if abs(parts - row.rss) > max(64, row.rss // 100):
            wrong.append(f"{row.name} [{row.pid}]: {row.rss} against {parts}")
            lines.append(row.line)
    if not seen:
        return []
    return [Check("rss is the sum of its parts", not wrong, "; ".join(wrong[:5]) or f"{seen} rows", tuple(lines[:8]))]


def _constraint(event: OomEvent) -> list[Check]:
    fields, kill = event.constraint_values, event.victim
    if not fields or kill is None or "pid" not in fields or event.constraint_line is None:
        return []
    wrong = []
    if fields["pid"] != str(kill.pid):
        wrong.append(f"pid {fields['pid']} against {kill.pid}")
    if fields.get("task") not in (None, kill.comm):
        wrong.append(f"task {fields['task']} against {kill.comm}")
    if kill.uid is not None and fields.get("uid") not in (None, str(kill.uid)):
        wrong.append(f"uid {fields['uid']} against {kill.uid}")
    lines = (event.constraint_line, kill.line)
    return [
        Check(
            "the constraint's line and the kill's line name the same task",
            not wrong,
            "; ".join(wrong) or kill.comm,
            lines,
        )
    ]


def _kill_and_row(event: OomEvent) -> list[Check]:
    kill = event.victim
    row = next((row for row in event.tasks if kill is not None and row.pid == kill.pid), None)
    if kill is None or row is None:
        return []
    wrong = []
    if kill.comm != row.name:
        wrong.append(f"name {row.name} against {kill.comm}")
    if kill.total_vm_kb is not None and abs(kill.total_vm_kb - row.total_vm * event.page_kb) > max(
        1024, kill.total_vm_kb // 20
    ):
        wrong.append(f"total_vm {row.total_vm * event.page_kb} kB against {kill.total_vm_kb} kB")
    parts = [kill.anon_rss_kb, kill.file_rss_kb, kill.shmem_rss_kb]
    held = sum(part or 0 for part in parts)
    if parts[0] is not None and abs(held - row.rss * event.page_kb) > max(2048, held // 20):
        wrong.append(f"rss {row.rss * event.page_kb} kB against {held} kB")
    return [
        Check(
            "the victim's row and the kill's line agree",
            not wrong,
            "; ".join(wrong) or row.name,
            (row.line, kill.line),
        )
    ]


def _zone_sums(event: OomEvent) -> list[Check]:
    found = []
    if event.zones and "free" in event.mem_info and event.mem_info_line is not None and len(event.nodes) <= 1:
        zones = sum(zone.free for zone in event.zones)
        free = event.mem_info["free"] * event.page_kb
        # Some reports omit zones. Memory is also allocated and freed while a report is printed.
        ok = abs(zones - free) <= max(8192, free // 10) or (zones < free and _filtered(event))
        found.append(
            Check(
                "the zones' free memory is the machine's",
                ok,
                f"zones {zones} kB, Mem-Info {free} kB",
                (event.mem_info_line, *(zone.line for zone in event.zones)),
            )
        )
    managed = [zone.values.get("managed") for zone in event.zones]
    ram, reserved = event.totals.get("pages_ram"), event.totals.get("pages_reserved")
    if managed and all(value is not None for value in managed) and ram is not None and reserved is not None:
        zones = sum(value or 0 for value in managed)
        whole = (ram - reserved) * event.page_kb
        if event.scope in ("global", "sysrq"):
            found.append(
                Check(
                    "the zones make up the machine's memory",
                    zones <= whole and (zones == whole or zones >= whole * 0.98 or _filtered(event)),
                    f"zones {zones} kB, RAM less reserved {whole} kB",
                    (event.totals_lines["pages_ram"], event.totals_lines["pages_reserved"]),
                )
            )
    return found


def _filtered(event: OomEvent) -> bool:
    """Return whether zones may be missing: those of nodes that a cpuset or a memory policy excluded, and since 6.1
    those of kinds that the request could not use (974f4367dd31).
    """
    if event.scope in ("cpuset", "mempolicy"):
        return True
    return not any("MOVABLE" in flag for flag in event.gfp_flags)


def _table(event: OomEvent) -> list[Check]:
    if event.tasks_line is None:
        return []
    found = []
    kill = event.victim
    if kill is not None and event.scope in ("global", "memcg", "sysrq"):
        ok = any(row.pid == kill.pid for row in event.tasks)
        found.append(
            Check(
                "the victim is in the task table",
                ok,
                f"{len(event.tasks)} rows",
                (event.tasks_line, kill.line),
            )
        )
    pids = [row.pid for row in event.tasks]
    doubled = {pid for pid in pids if pids.count(pid) > 1} if len(pids) < 5000 else set()
    found.append(
        Check(
            "no task stands in the table twice",
            not doubled,
            ", ".join(map(str, sorted(doubled))) or f"{len(pids)} rows",
            tuple(row.line for row in event.tasks if row.pid in doubled),
        )
    )
    return found

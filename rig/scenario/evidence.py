# SPDX-License-Identifier: MIT
"""Hold what was collected of one run, and the facts that claims, run.json and tables derive from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rig.run.badness import Candidate, candidates, rss_slack
from rig.run.process_names import Process, process_names
from rig.run.records import Record, Records
from rig.scenario.plan import RenderedPlan
from rig.scenario.settings import Settings

if TYPE_CHECKING:
    from rig.klog import Log, OomEvent, PanicEvent

__all__ = ["CLOCK_SLACK", "KIB", "Evidence", "processes"]

KIB = 1024
CLOCK_SLACK = 1.0
"""Seconds by which printk's clock and the agent's CLOCK_MONOTONIC may differ."""


@dataclass(frozen=True)
class Evidence:
    """The agent's records, the kernel's log, the settings and the plan of one run.

    panicked: whether QEMU reported GUEST_PANICKED; None when QMP events were not watched.
    console_left_out: bytes of the console that exceeded its bound and are not in the log.
    console_ends_at: the time of the console's last line, on printk's clock; None if unknown.
    log_at_panic: the newest records of the kernel's log when it panicked, read from the guest's memory, as /dev/kmsg
    has them; None where there was no panic, and where they could not be read.
    """

    settings: Settings
    plan: RenderedPlan
    records: Records
    log: Log
    panicked: bool | None = None
    console_left_out: int = 0
    console_ends_at: float | None = None
    log_at_panic: tuple[str, ...] | None = None

    def ready(self) -> Record | None:
        return self.records.first("ready")

    def end(self) -> Record | None:
        return self.records.first("end")

    def samples(self) -> tuple[Record, ...]:
        return self.records.of("sample")

    def steps(self) -> Iterable[Record]:
        """Yield the records of the plan's steps, each with the `id` that the scenario gave it."""
        for step in self.records.of("step"):
            index = step.get("i")
            known = isinstance(index, int) and 0 <= index < len(self.plan.steps)
            yield {**step, "id": self.plan.steps[index].id if known and isinstance(index, int) else None}

    def ooms(self) -> tuple[OomEvent, ...]:
        """Return the OOM reports at or after the agent's `go`; reports without a timestamp are all returned."""
        go = self.records.first("go")
        start = 0.0 if go is None else float(go["t"]) - CLOCK_SLACK
        return tuple(event for event in self.log.ooms if event.time is None or event.time >= start)

    def panics(self) -> tuple[PanicEvent, ...]:
        from rig.klog import PanicEvent

        return tuple(event for event in self.log.events if isinstance(event, PanicEvent))

    def panic_seen(self) -> bool | None:
        """Return whether QEMU reported a panic; None where it cannot learn of one: without a pvpanic driver."""
        return self.panicked if (self.records.first("go") or {}).get("pvpanic") is True else None

    def page_size(self) -> int:
        size = (self.ready() or {}).get("page_size")
        return size if isinstance(size, int) and size > 0 else 4096

    def kernel_release(self) -> str:
        return str((self.ready() or {}).get("kernel", ""))

    def kernel_version(self) -> tuple[int, int]:
        match = re.match(r"(\d+)\.(\d+)", self.kernel_release())
        return (int(match[1]), int(match[2])) if match else (0, 0)

    def roles(self) -> Mapping[int, str]:
        """Return pid -> role of the scenario's processes. No two have one role (rig/run/process_names.py)."""
        return self._roles

    @cached_property
    def names(self) -> dict[Process, str]:
        """The role of each process by its program and pid."""
        return process_names(self.records)

    @cached_property
    def _roles(self) -> dict[int, str]:
        return {pid: name for (_program, pid), name in self.names.items()}

    def ranking(self, oom: OomEvent) -> tuple[Candidate, ...]:
        """Return the tasks of an OOM report, worst first."""
        meminfo: Mapping[str, Any] = next((sample["meminfo"] for sample in self.samples() if sample.get("meminfo")), {})
        # oom_score_adj is in thousandths of RAM and swap together (oom_badness(), mm/oom_kill.c).
        total, swap = meminfo.get("MemTotal"), meminfo.get("SwapTotal", 0)
        known = isinstance(total, int) and isinstance(swap, int)
        return candidates(oom, (total + swap) * KIB // self.page_size() if known else None)

    def slack(self) -> int:
        """Return the error of a badness in pages: the kernel may rank tasks that differ by less in either order."""
        return rss_slack(self.kernel_version(), self.settings.cpus)


def processes(sample: Record) -> list[Mapping[str, Any]]:
    """Return the processes of a sample, without rows that docs/reference/agent-protocol.md does not allow."""
    found = sample.get("procs")
    rows = found if isinstance(found, list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("pid"), int)]

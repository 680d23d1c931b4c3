# SPDX-License-Identifier: MIT
"""How the invoker of a report asks for the last memory, and what of a report no guest plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rig.reproduce.fingerprint import Fingerprint
from rig.reproduce.replica import LeftOut

__all__ = ["OWN_TRIGGERS", "trigger_of", "what_is_not_played"]

TRIGGERS = {
    "anonymous": "anonymous", "zero-page": "anonymous", "fault": "anonymous", "": "anonymous",
    "copy-on-write": "copy-on-write", "file-read": "file-read", "shared": "shared", "page-table": "page-table",
    "fork": "fork", "pipe": "pipe", "slab": "slab", "network": "network", "swap-in": "swap-in",
}  # fmt: skip
"""The path of a report -> the trigger of guest/programs/cast/ that takes it."""
_MADE = {"slab": "a kernel allocation", "pipe": "a write to a pipe"}
OWN_TRIGGERS = ("anonymous", "copy-on-write", "swap-in")
"""Triggers that take memory of the invoker's own, which its row shows."""


def trigger_of(report: Fingerprint, growth_kb: float) -> str:
    """Return how the invoker asks for the last memory; empty where nobody of the report does.

    growth_kb: what it would take last as memory of its own.
    """
    if report.scope == "sysrq" or report.invoker is None:
        return ""
    if (report.order or 0) > 0 or (report.path == "" and report.request in ("kernel", "nofs", "noio")):
        return "slab"
    if report.path == "" and _invoker_kb(report) < growth_kb:
        # An invoker that is smaller than what it would take for the last part would become the victim.
        return "pipe"
    return TRIGGERS.get(report.path, "anonymous")


def _invoker_kb(report: Fingerprint) -> int:
    """Return the RSS of the invoker, in kB; 0 if the report has no row of it."""
    by_pid = (holder.rss_kb for holder in report.holders if holder.pid == report.invoker_pid)
    by_comm = (holder.rss_kb for holder in report.holders if holder.comm == report.invoker)
    return next(by_pid if report.invoker_pid is not None else by_comm, 0)


def what_is_not_played(report: Fingerprint, trigger: str, worth: Callable[[float], bool]) -> Iterator[LeftOut]:
    """Yield the fields that no guest plays as the report has them, with the reason.

    trigger: what trigger_of() returned.
    worth: whether a size in kB is large enough to be played.
    """
    if report.zone is not None:
        yield LeftOut("zone", f"a request bound to zone {report.zone}: all of a small guest is in zone DMA32")
    if report.scope in ("cpuset", "mempolicy"):
        yield LeftOut("scope", "the guest has one node; its memory stands for the node that ran out")
    if report.limit is not None and report.limit.counter == "kmem":
        yield LeftOut("limit", "cgroup v2 has no limit of kernel memory alone; memory.max stands for it")
    if report.limit is not None and report.limit.counter == "memory+swap":
        yield LeftOut("limit", "cgroup v2 bounds memory and swap apart: memory.max and memory.swap.max")
    if report.bonus == "memory":
        yield LeftOut("root's bonus", "its kernel spared root's tasks 3 % of memory: oom_score_adj is 30 lower here")
    if report.request not in ("user", "kernel", ""):
        yield LeftOut("request", f"no guest program makes a request of this kind: {report.request}")
    if report.path not in TRIGGERS and report.scope != "sysrq":
        yield LeftOut("path", f"no guest program asks for memory by this path: {report.path}")
    if report.order is not None and report.order > 3:
        yield LeftOut("order", "requests above order 3 do not call the OOM killer")
    if report.path == "":
        made = _MADE.get(trigger, "a page fault of anonymous memory")
        yield LeftOut("path", f"the report does not show it; {made} is made")
    if worth(report.kinds.get("reclaimable slab", 0)):
        yield LeftOut("reclaimable slab", "the kernel gives it back before it kills; not played")
    if any(holder.swap_kb for holder in report.holders) or report.swap_total_kb:
        yield LeftOut(
            "kind of swap", "the report does not tell; it is compressed memory here, of pages that need almost none"
        )

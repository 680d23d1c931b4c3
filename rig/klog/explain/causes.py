# SPDX-License-Identifier: MIT
"""Find why memory ran out: one sentence with its figures, and how certain it is.

Each rule looks for one cause and returns it with the figures that prove it, or None. The first rule that finds a cause
wins. Rules about limits on the request come first, then rules about memory that no process holds, then processes.
"""

from __future__ import annotations

from collections.abc import Callable

from rig.klog.explain.amounts import families, largest_of_cgroup, limit_that_was_hit, managed_kb
from rig.klog.explain.bounds import fragmented, low_zone, nodes, reserved, unmovable
from rig.klog.explain.cause import Cause, Certainty, found
from rig.klog.explain.explanation import Sentence
from rig.klog.explain.outside import held_by_no_process
from rig.klog.explain.usable import measured
from rig.klog.explain.words import count, size
from rig.klog.functions import part_of
from rig.klog.kinds import Kind
from rig.klog.oom.oom_event import OomEvent

__all__ = ["cause_of"]

_MOST = 0.5  # a share of memory that counts as most of it


def cause_of(event: OomEvent) -> Cause:
    """Return the cause that the report's figures show; `unknown` where they show none."""
    for rule in _RULES:
        cause = rule(event)
        if cause is not None:
            return cause
    return found("unknown", Certainty.UNSURE, "The log does not hold the figures that would show what filled memory.")


def _by_hand(event: OomEvent) -> Cause | None:
    if event.scope != "sysrq":
        return None
    text = "Memory had not run out: somebody invoked the OOM killer by hand (SysRq f)."
    return Cause("sysrq", Certainty.CERTAIN, Sentence(text, (event.line,)))


def _page_fault_path(event: OomEvent) -> Cause | None:
    """Return the cause of a request with gfp_mask 0.

    pagefault_out_of_memory() (mm/oom_kill.c) makes up this request after a fault handler returned VM_FAULT_OOM.
    """
    if event.gfp_mask != 0 or event.scope == "memcg":
        return None
    free = sum(zone.free for zone in measured(event))
    rest = f" {size(free)} were free." if free else ""
    text = (
        "No request for memory failed here: a page fault handler reported that memory had run out (gfp_mask 0). "
        f"Most often a cgroup's limit refused the charge.{rest}"
    )
    return Cause("page-fault-path", Certainty.LIKELY, Sentence(text, (event.line,)))


def _cgroup_limit(event: OomEvent) -> Cause | None:
    if event.scope != "memcg":
        return None
    hit = limit_that_was_hit(event)
    path = event.oom_memcg or event.cgroup_path or "of the task"
    if hit is None or hit.limit_kb is None:
        text = f"The cgroup {path} reached its memory limit; the report does not tell which, nor how large it is."
        return Cause("cgroup", Certainty.LIKELY, Sentence(text, (event.line,)))
    names = {"memory": "memory", "kmem": "kernel memory (kmem)", "memory+swap": "memory and swap (memsw)"}
    times = f", which it had reached {count(hit.failcnt, 'time')}" if hit.failcnt else ""
    above = ""
    if event.task_memcg and event.oom_memcg and event.task_memcg != event.oom_memcg:
        above = f" The limit is that of an ancestor: the victim was in {event.task_memcg}."
    # A charge is refused at the limit: much more is in a group only after a lower limit was set.
    lowered = " The limit was set to less than that." if hit.usage_kb * 10 > hit.limit_kb * 11 else ""
    text = (
        f"The cgroup {path} reached its limit for {names.get(hit.name, hit.name)}: {size(hit.usage_kb)} of "
        f"{size(hit.limit_kb)}{times}.{lowered}{_content(event, hit.usage_kb)} The machine itself need not lack "
        f"memory.{above}"
    )
    name = {"kmem": "cgroup-kmem", "memory+swap": "cgroup-memsw"}.get(hit.name, "cgroup-memory")
    full = hit.usage_kb * 100 >= hit.limit_kb * 95
    return Cause(name, Certainty.CERTAIN if full else Certainty.UNSURE, Sentence(text, (hit.line,)))


_CONTENT = {
    "anon": "its processes' own memory",
    "shmem": "files in tmpfs and shared memory, which no kill gives back",
    "file": "page cache",
    "slab": "the kernel's slabs",
    "pagetables": "page tables",
    "kernel_stack": "kernel stacks",
    "sock": "network buffers",
}


def _content(event: OomEvent, usage_kb: int) -> str:
    """Return a sentence on what most of a cgroup's memory is; empty where nothing is most, and in cgroup v1."""
    name, kb = largest_of_cgroup(event)
    return f" {size(kb)} of it are {_CONTENT[name]}." if name and kb >= usage_kb * _MOST else ""


def _reserved(event: OomEvent) -> Cause | None:
    """Return a reserve as the cause; the highatomic one only where the report does not show what filled memory."""
    cause = reserved(event)
    if cause is None or cause.name == "cma":
        return cause
    holders = (held_by_no_process(event), _processes(event))
    known = any(holder is not None and holder.certainty is not Certainty.UNSURE for holder in holders)
    return None if known else cause


def _small_machine(event: OomEvent) -> Cause | None:
    whole = managed_kb(event)
    if not whole or whole >= 64 * 1024:
        return None
    boot = f" {event.time:.0f} s after boot" if event.time is not None and event.time < 60 else ""
    text = f"The machine has only {size(whole)} of memory, and ran out of it{boot}."
    return Cause("small-machine", Certainty.LIKELY, Sentence(text, (event.totals_lines.get("pages_ram", event.line),)))


def _processes(event: OomEvent) -> Cause | None:
    named = families(event)
    whole = managed_kb(event)
    if not named or named[0][1] < 1024:
        return None
    name, kb, number = named[0]
    swap = event.totals.get("total_swap_kb", 0)
    room = whole + swap
    who = f"{number} processes named {name} hold {size(kb)} together" if number > 1 else f"{name} holds {size(kb)}"
    everyone = sum(entry[1] for entry in named)
    lines = tuple(row.line for row in event.tasks if row.name == name)[:8]
    if not room:
        return found("processes", Certainty.UNSURE, f"Of the tasks in the table the largest is {name}: {who}.", *lines)
    anon = sum(event.mem_info.get(key, 0) for key in ("active_anon", "inactive_anon")) * event.page_kb
    if anon >= whole * _MOST and everyone < anon * _MOST:
        text = (
            f"Programs' own memory filled the machine: {size(anon)} of {size(whole)}. The task table shows only "
            f"{size(everyone)} of it; the largest there: {who}."
        )
        return found("processes", Certainty.LIKELY, text, event.mem_info_lines.get("active_anon", event.line), *lines)
    share = min(everyone, room) / room
    if share < 0.4:
        text = (
            f"The processes hold {size(everyone)} of {size(room)} alone; what filled the rest the report does not "
            f"show. The largest: {who}."
        )
        return found("processes", Certainty.UNSURE, text, *lines)
    none = ", and there is no swap" if "total_swap_kb" in event.totals else ""
    rest = f" and {size(swap)} of swap" if swap else none
    text = f"The processes filled memory: {who} of {size(whole)}{rest}."
    sure = share >= 0.6 and kb >= room * 0.2
    return found("processes", Certainty.CERTAIN if sure else Certainty.LIKELY, text, *lines)


def _beginning_missing(event: OomEvent) -> Cause | None:
    called = any(part_of(frame.function) == "oom" for frame in event.trace.frames)
    if event.kind is not Kind.OOM or event.invoker is not None or not (called or event.kills):
        return None
    text = "The OOM killer was called; the part of the report that would show why is missing."
    return Cause("missing", Certainty.UNSURE, Sentence(text, (event.line,)))


_RULES: tuple[Callable[[OomEvent], Cause | None], ...] = (
    _by_hand, _cgroup_limit, _page_fault_path, nodes, low_zone, unmovable, _reserved, fragmented,
    _small_machine, held_by_no_process, _processes, _beginning_missing,
)  # fmt: skip

# SPDX-License-Identifier: MIT
"""The stack of the task on the first CPU, and the allocation that invoked the OOM killer."""

from __future__ import annotations

from typing import Any

from rig.run.postmortem import Allocation, StackFrame

__all__ = ["read_allocation", "read_stack"]

# The lowest address of the kernel's half of the x86-64 address space. A frame below it belongs to user space.
FIRST_KERNEL_ADDRESS = 1 << 63


def read_stack(program: Any) -> tuple[int, str, tuple[StackFrame, ...], Any]:
    """Return (pid, name, kernel frames, drgn's StackTrace) of the task that runs on the first CPU."""
    from drgn.helpers.linux.sched import cpu_curr

    task = cpu_curr(program, 0)
    trace = program.stack_trace(task)
    frames = []
    for frame in trace:
        if not frame.is_inline and frame.pc < FIRST_KERNEL_ADDRESS:
            break
        try:
            file, line, _ = frame.source()
        except LookupError:
            file, line = "", None
        frames.append(StackFrame(function=frame.name or "", inlined=frame.is_inline, file=_short(file), line=line))
    return int(task.pid), task.comm.string_().decode(errors="replace"), tuple(frames), trace


def _short(file: str) -> str:
    """Return a source path without the kernel's build directory, which DWARF gives for some files."""
    parts = file.split("/")
    for top in ("arch", "kernel", "mm", "include", "fs", "drivers", "lib"):
        if file.startswith("/") and top in parts:
            return "/".join(parts[parts.index(top) :])
    return file


def read_allocation(program: Any, trace: Any) -> Allocation | None:
    """Return the struct oom_control of the innermost frame that has a variable `oc`, or None."""
    for frame in trace:
        try:
            control = frame["oc"]
            control.order.value_()
        except (LookupError, AttributeError, ValueError):
            continue
        return _allocation(program, control, _highest_zone(trace))
    return None


def _highest_zone(trace: Any) -> int | None:
    """Return highest_zoneidx of the innermost readable `ac` (struct alloc_context), or None.

    The compiler may have optimized `ac` away in a frame; its callers then still have it.
    """
    for frame in trace:
        try:
            return int(frame["ac"].highest_zoneidx)
        except (LookupError, AttributeError, ValueError, TypeError):
            continue
    return None


def _allocation(program: Any, control: Any, highest_zone: int | None) -> Allocation:
    memcg, chosen = control.memcg, control.chosen
    found: dict[str, Any] = {}
    if memcg:
        from drgn.helpers.linux.cgroup import cgroup_path

        found["memcg"] = cgroup_path(memcg.css.cgroup).decode(errors="replace")
        found["memcg_usage"] = int(memcg.memory.usage.counter)
        found["memcg_limit"] = int(memcg.memory.max)
    # oom_evaluate_task() (mm/oom_kill.c) sets chosen to -1 to abort the search when a victim is already dying.
    if chosen and int(chosen) & 0xFFFFFFFFFFFFFFFF != 0xFFFFFFFFFFFFFFFF:
        found["chosen_pid"] = int(chosen.pid)
        found["chosen"] = chosen.comm.string_().decode(errors="replace")
        found["chosen_points"] = int(control.chosen_points)
    return Allocation(
        gfp_mask=int(control.gfp_mask),
        order=int(control.order),
        constraint=control.constraint.format_(type_name=False),
        total_pages=int(control.totalpages),
        highest_zone=highest_zone,
        **found,
    )

# SPDX-License-Identifier: MIT
"""Names of claims: the settings, the agent's records by kind, and the events of the kernel's log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rig.scenario.declare import name
from rig.scenario.evidence import Evidence
from rig.scenario.functions.records import LOOKS, guard_processes
from rig.scenario.views import view

__all__: list[str] = []


@name("settings", "params.parent == 200 * 1024 * 1024")
def params(evidence: Evidence) -> Any:
    """the parameters, as `params.NAME`: sizes in bytes, durations in seconds"""
    return evidence.settings.names()["params"]


@name("settings", "guest.memory == 512 * 1024 * 1024")
def guest(evidence: Evidence) -> Any:
    """the machine, as `.memory`, `.swap`, `.zram`, `.cpus`, `.clock`: bytes, a number, and `warp` or `live`"""
    return evidence.settings.names()["guest"]


@name("settings", "not to_the_end")
def to_the_end(evidence: Evidence) -> bool:
    """whether `--to-the-end` was given"""
    return evidence.settings.to_the_end


@name("records", "kernel.major == 6 and kernel.minor == 1")
def kernel(evidence: Evidence) -> Any:
    """the guest's kernel: `.release`, `.major`, `.minor`"""
    major, minor = evidence.kernel_version()
    return view({"release": evidence.kernel_release(), "major": major, "minor": minor}, "kernel")


@name("records", "ready.page_size == 4096")
def ready(evidence: Evidence) -> Any:
    """what the agent said when the guest was ready"""
    return view(evidence.ready(), "ready")


@name("records", "end.reason == 'decided'")
def end(evidence: Evidence) -> Any:
    """what the agent said at the plan's end; None after a panic"""
    return view(evidence.end(), "end")


@name("records", "steps[0].verb == 'sample'")
def steps(evidence: Evidence) -> Any:
    """the steps of the plan that were begun, in order"""
    return tuple(view(step, f"steps[{step.get('i')}]") for step in evidence.steps())


@name("records", "len(looks) == 1")
def looks(evidence: Evidence) -> Any:
    """what the plan looked at: records of `fds`, `kcmp`, `status`, `tree` and `read`"""
    found = (guard_processes(record) for record in evidence.records.items if record["ev"] in LOOKS)
    return view(tuple(found), "looks")


def _records(ev: str) -> Callable[[Evidence], Any]:
    def of_that_kind(evidence: Evidence) -> Any:
        return view(tuple(guard_processes(record) for record in evidence.records.of(ev)), f"{ev}s")

    of_that_kind.__doc__ = f"the `{ev}` records, in order, with the fields of [agent-protocol.md](agent-protocol.md)"
    return of_that_kind


for _ev, _example in {
    "line": "len(lines) > 3",
    "sample": "len(samples) > 5",
    "exit": "len(exits) > 0",
    "check": "len(checks) == 2",
    "mark": "marks[0].name == 'writing-starts'",
    "spawn": "len(spawns) == 2",
    "write": "len(writes) == 0 and len(spawns) > 0",
    "cgroup": "len(cgroups) == 0 and len(spawns) > 0",
}.items():
    name("records", _example, word=f"{_ev}s")(_records(_ev))


name("records", "len(pagemaps) > 2", run="memory-is-copied", word="pagemaps")(_records("pagemap"))


@name("log", "len(events) == 1")
def events(evidence: Evidence) -> Any:
    """all events of the kernel's log (rig/klog)"""
    return view(evidence.log.events, "events")


@name("log", "len(ooms) == 1")
def ooms(evidence: Evidence) -> Any:
    """the OOM reports of the experiment"""
    return view(evidence.ooms(), "ooms")


@name("log", "oom.invoker.comm == 'child'")
def oom(evidence: Evidence) -> Any:
    """the first of them, or None"""
    found = evidence.ooms()
    return view(found[0], "oom") if found else None


@name("log", "len(panics) == 0")
def panics(evidence: Evidence) -> Any:
    """the panics of the kernel's log"""
    return view(evidence.panics(), "panics")


@name("log", "panic is None")
def panic(evidence: Evidence) -> Any:
    """the first of them, or None"""
    found = evidence.panics()
    return view(found[0], "panic") if found else None


@name("log", "len(oopses) == 0")
def oopses(evidence: Evidence) -> Any:
    """the oopses of the kernel's log"""
    return view(tuple(event for event in evidence.log.events if event.kind == "oops"), "oopses")

# SPDX-License-Identifier: MIT
"""The documented model of a run, as the language of claims sees it (MODEL.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rig.klog import Log, OomEvent, PanicEvent
from rig.klog.functions import part_of
from rig.run.badness import Candidate, candidates, rss_slack
from rig.run.records import Record, Records
from rig.scenario.expressions import FUNCTIONS
from rig.scenario.plan import RenderedPlan
from rig.scenario.settings import Settings
from rig.scenario.views import Missing, Nothing, thing_of, view
from rig.scenario.zoneinfo import read_zoneinfo

__all__ = ["Evidence"]

KIB = 1024
WATERMARKS = ("free", "min", "low", "high")
LOOKS = frozenset({"fds", "kcmp", "status", "tree", "read"})


@dataclass(frozen=True)
class Evidence:
    """What was heard of one run: the agent's records and the kernel's log, and what the run was made with."""

    settings: Settings
    plan: RenderedPlan
    records: Records
    log: Log

    # What happened

    def ready(self) -> Record | None:
        return self.records.first("ready")

    def end(self) -> Record | None:
        return self.records.first("end")

    def samples(self) -> tuple[Record, ...]:
        return self.records.of("sample")

    def ooms(self) -> tuple[OomEvent, ...]:
        """The OOM reports of the experiment: those at or after the agent's `go`, where the log has times."""
        go = self.records.first("go")
        start = 0.0 if go is None else float(go["t"]) - 1.0  # printk's clock and the agent's differ a little
        return tuple(
            event
            for event in self.log.events
            if isinstance(event, OomEvent) and (event.time is None or event.time >= start)
        )

    def panics(self) -> tuple[PanicEvent, ...]:
        return tuple(event for event in self.log.events if isinstance(event, PanicEvent))

    def page_size(self) -> int:
        size = (self.ready() or {}).get("page_size")
        return size if isinstance(size, int) and size > 0 else 4096

    def kernel_release(self) -> str:
        return str((self.ready() or {}).get("kernel", ""))

    def kernel_version(self) -> tuple[int, int]:
        match = re.match(r"(\d+)\.(\d+)", self.kernel_release())
        return (int(match[1]), int(match[2])) if match else (0, 0)

    def roles(self) -> dict[int, str]:
        """Return pid -> role of the scenario's processes: the comm when last seen, else the program."""
        roles = {spawn["pid"]: str(spawn.get("program", "")) for spawn in self.records.of("spawn") if "pid" in spawn}
        for sample in self.samples():
            for proc in _procs(sample):
                roles[proc["pid"]] = str(proc.get("comm") or proc.get("program", ""))
        return roles

    def ranking(self, oom: OomEvent) -> tuple[Candidate, ...]:
        """Return the tasks of an OOM report, worst first."""
        meminfo: Mapping[str, Any] = next((sample["meminfo"] for sample in self.samples() if sample.get("meminfo")), {})
        total, swap = meminfo.get("MemTotal"), meminfo.get("SwapTotal", 0)
        known = isinstance(total, int) and isinstance(swap, int)
        return candidates(oom, (total + swap) * KIB // self.page_size() if known else None)

    def slack(self) -> int:
        """Return by how many pages two badnesses may differ and still be the same to the kernel."""
        return rss_slack(self.kernel_version(), self.settings.cpus)

    # The language

    def names(self) -> dict[str, Any]:
        """Return the names that claims may use."""
        ooms, panics = self.ooms(), self.panics()
        major, minor = self.kernel_version()
        of = self.records.of
        return {
            **self.settings.names(),
            "kernel": view({"release": self.kernel_release(), "major": major, "minor": minor}, "kernel"),
            "ready": view(self.ready(), "ready"),
            "end": view(self.end(), "end"),
            "steps": tuple(view(step, f"steps[{step.get('i')}]") for step in self.steps()),
            "lines": view(of("line"), "lines"),
            "samples": view(self.samples(), "samples"),
            "exits": view(of("exit"), "exits"),
            "checks": view(of("check"), "checks"),
            "marks": view(of("mark"), "marks"),
            "spawns": view(of("spawn"), "spawns"),
            "pagemaps": view(of("pagemap"), "pagemaps"),
            "writes": view(of("write"), "writes"),
            "cgroups": view(of("cgroup"), "cgroups"),
            "looks": view(tuple(record for record in self.records.items if record["ev"] in LOOKS), "looks"),
            "events": view(self.log.events, "events"),
            "ooms": view(ooms, "ooms"),
            "oom": view(ooms[0], "oom") if ooms else None,
            "panics": view(panics, "panics"),
            "panic": view(panics[0], "panic") if panics else None,
            "oopses": view(tuple(event for event in self.log.events if event.kind == "oops"), "oopses"),
        }

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions that claims may call: FUNCTIONS, and those over the run."""
        own: tuple[Callable[..., Any], ...] = (
            self.sample, self.has_sample, self.history, self.proc, self.procs, self.pid, self.pids, self.step,
            self.exit_of, self.check_of,
            self.lines_of, self.said, self.pagemap, self.look, self.sysctl,
            self.faulted, self.before_oom, self.copied, self.anon_grown,
            self.page_tables_grown, self.available_at, self.role_of, self.path, self.in_path, self.badness_of,
            self.badness_slack, self.watermarks,
        )  # fmt: skip
        named = {function.__name__: function for function in own}
        return {**FUNCTIONS, **named, "candidates": self.candidates_of}

    # Functions over the agent's records

    def sample(self, label: str) -> Any:
        """The first sample of that label."""
        return view(self._sample(label), f"sample '{label}'")

    def has_sample(self, label: str) -> bool:
        return any(sample.get("label") == label for sample in self.samples())

    def procs(self, role: str, label: str) -> Any:
        """The processes of that role in a sample; none is an empty tuple."""
        rows = [proc for proc in _procs(self._sample(label)) if _plays(proc, role)]
        return tuple(view(row, f"'{role}' in the sample '{label}'") for row in rows)

    def proc(self, role: str, label: str) -> Any:
        """The process of that role in a sample."""
        found = self.procs(role, label)
        if not found:
            there = sorted({str(proc.get("comm")) for proc in _procs(self._sample(label))})
            raise Missing(f"there is no process '{role}' in the sample '{label}', only {', '.join(there) or 'none'}")
        return found[0]

    def history(self, role: str) -> Any:
        """What every sample says of that role, in order."""
        return tuple(
            view(proc, f"'{role}'") for sample in self.samples() for proc in _procs(sample) if _plays(proc, role)
        )

    def pid(self, role: str) -> int:
        for pid, played in self.roles().items():
            if played == role:
                return pid
        for spawn in self.records.of("spawn"):
            if spawn.get("program") == role:
                return int(spawn["pid"])
        raise Missing(f"there was no process '{role}'")

    def pids(self) -> tuple[int, ...]:
        """Every process of the scenario."""
        return tuple(self.roles())

    def role_of(self, pid: int) -> str:
        return self.roles().get(pid, "")

    def step(self, name: str) -> Any:
        """What became of the step with that `id`."""
        for step in self.steps():
            if step.get("id") == name:
                return view(step, f"step '{name}'")
        raise Missing(f"the step '{name}' was not begun")

    def exit_of(self, role: str) -> Any:
        for record in self.records.of("exit"):
            if role in (record.get("comm"), record.get("program")):
                return view(record, f"exit of '{role}'")
        raise Missing(f"no end of '{role}' was heard")

    def check_of(self, role: str) -> Any:
        """The last `check_rss` of a process: what the kernel says, by its page tables, that it holds."""
        for record in reversed(self.records.of("check")):
            if role in (record.get("comm"), record.get("program")):
                return view(record, f"check of '{role}'")
        raise Missing(f"the plan did not check what '{role}' holds")

    def lines_of(self, program: str) -> tuple[str, ...]:
        """What a program printed: for showing, and for what nobody else knows."""
        return tuple(str(line.get("text", "")) for line in self.records.of("line") if line.get("program") == program)

    def said(self, program: str, prefix: str) -> tuple[str, ...]:
        """What stands after `prefix` in the lines of a program that begin with it."""
        return tuple(text[len(prefix) :].strip() for text in self.lines_of(program) if text.startswith(prefix))

    def pagemap(self, label: str) -> Any:
        for record in self.records.of("pagemap"):
            if record.get("label") == label:
                return view(record, f"page map '{label}'")
        raise Missing(f"there is no page map '{label}'")

    def look(self, label: str) -> Any:
        """The record of a step that looked at something (`fds`, `kcmp`, `status`, `tree`, `read`)."""
        for record in self.records.items:
            if record["ev"] in LOOKS and record.get("label") == label:
                return view(record, f"look '{label}'")
        raise Missing(f"nothing was looked at under the label '{label}'")

    def sysctl(self, name: str, default: Any = None) -> Any:
        """The value that the kernel had after the plan set it, a number where it is one; else the default."""
        got = [record.get("got") for record in self.records.of("sysctl") if record.get("name") == name]
        if not got:
            got = [self.settings.sysctls[name]] if name in self.settings.sysctls else [default]
        text = str(got[-1])
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else got[-1]

    def faulted(self, role: str, since: str, until: str | None = None) -> int:
        """Minor faults of a process from a sample to another, or to the OOM: the sample `oom`, else the last before."""
        before = self.proc(role, since)
        after = self._last(before.pid, "minflt", role) if until is None else self.proc(role, until).minflt
        return int(after) - int(before.minflt)

    def before_oom(self, label: str) -> bool:
        """Whether a sample of that label was taken, and before the agent heard of the first OOM."""
        for record in self.records.items:
            if record["ev"] == "oom":
                return False
            if record["ev"] == "sample" and record.get("label") == label:
                return True
        return False

    def copied(self, role: str, since: str) -> int:
        """Bytes that a process has copied by writing: its minor faults, a page each."""
        return self.faulted(role, since) * self.page_size()

    def anon_grown(self, label: str) -> int:
        """Bytes by which anonymous memory, swapped out or not, had grown from a sample to the first OOM's report."""
        oom, meminfo = self._oom(), self._sample(label).get("meminfo", {})
        parts = ("active_anon", "inactive_anon", "isolated_anon")
        if "inactive_anon" not in oom.mem_info:
            raise Missing("the OOM report does not tell how much memory is anonymous")
        now = sum(int(oom.mem_info.get(part, 0)) for part in parts) * int(oom.page_kb)
        before = _number(meminfo, "Active(anon)", label) + _number(meminfo, "Inactive(anon)", label)
        swapped = _number(meminfo, "SwapFree", label) - int(oom.totals.get("free_swap_kb", 0))
        return (now - before + swapped) * KIB

    def page_tables_grown(self, role: str, since: str) -> int:
        """Bytes of page tables that a process has got from a sample to the OOM."""
        before = self.proc(role, since)
        return max(int(self._last(before.pid, "pgtables_kb", role)) - int(before.pgtables_kb), 0) * KIB

    def available_at(self, label: str, zones: str = "zones") -> int:
        """Bytes that could be had at a sample before the OOM killer had to come (see MODEL.md).

        zones is the label under which the plan read /proc/zoneinfo at the same time.
        """
        found = read_zoneinfo(str(self.look(zones).text))
        if not found:
            raise Missing(f"what was read under the label '{zones}' is no /proc/zoneinfo")
        now, first = self._sample(label).get("meminfo", {}), self.samples()[0].get("meminfo", {})
        slab = max(_slab(now, label) - _slab(first, "first"), 0)
        parts = ("MemFree", "Active(file)", "Inactive(file)", "SwapFree")
        had = sum(_number(now, part, label) for part in parts) + slab
        pages = sum(zone.per_cpu - zone.min - zone.protection for zone in found)
        return had * KIB + pages * self.page_size()

    # Functions over the kernel's log

    def path(self, oom: Any) -> tuple[str, ...]:
        """The functions of an event's trace, innermost first, without those that the kernel marks with `?`."""
        return tuple(frame.function for frame in _event(oom).trace.frames if frame.reliable)

    def in_path(self, oom: Any, part: str) -> str:
        """The first function of the trace that plays that part (rig.klog.functions); empty when none does."""
        return next((function for function in self.path(oom) if part_of(function) == part), "")

    def candidates_of(self, oom: Any) -> Any:
        """The tasks of an OOM report as the kernel ranks them, the worst first."""
        return view(self.ranking(_event(oom)), "candidates")

    def badness_of(self, oom: Any, pid: int) -> int:
        for candidate in self.ranking(_event(oom)):
            if candidate.pid == pid:
                return candidate.points or 0
        raise Missing(f"the report's task table has no process {pid}")

    def badness_slack(self) -> int:
        return self.slack()

    def watermarks(self, oom: Any) -> Any:
        """The sums of the zones' free, min, low and high at an OOM, in kB."""
        return view(self._watermarks(oom), "watermarks")

    # Looking up

    def _oom(self) -> Any:
        ooms = self.ooms()
        if not ooms:
            raise Nothing("there was no OOM")
        return ooms[0]

    def _watermarks(self, oom: Any) -> dict[str, int]:
        zones = tuple(_event(oom).zones)
        if not zones:
            raise Missing("the OOM report has no lines about the zones")
        # The printed marks contain the boost, which reclaim adds for a while and takes back before an OOM.
        boost = sum(int(zone.values.get("boost", 0)) for zone in zones)
        marks = {field: sum(int(getattr(zone, field) or 0) for zone in zones) for field in WATERMARKS}
        return {field: value if field == "free" else value - boost for field, value in marks.items()}

    def _sample(self, label: str) -> Record:
        for sample in self.samples():
            if sample.get("label") == label:
                return sample
        there = ", ".join(str(sample["label"]) for sample in self.samples() if sample.get("label"))
        raise Missing(f"there is no sample '{label}', only {there or 'none with a label'}")

    def _last(self, pid: int, field: str, role: str) -> Any:
        """The last word of the samples, up to the first OOM, on a field of a process (a zombie has few)."""
        last: Any = None
        for sample in self.samples():
            for proc in _procs(sample):
                if proc["pid"] == pid and field in proc:
                    last = proc[field]
            if sample.get("label") == "oom":
                break
        if last is None:
            raise Missing(f"no sample tells the {field} of '{role}' ({pid})")
        return last

    def steps(self) -> Iterable[Record]:
        """Yield each step that was begun, with its `id`."""
        for step in self.records.of("step"):
            index = step.get("i")
            known = isinstance(index, int) and 0 <= index < len(self.plan.steps)
            name = self.plan.steps[index].id if known and isinstance(index, int) else None
            yield {**step, "id": name}


def _procs(sample: Record) -> list[Mapping[str, Any]]:
    """The processes of a sample; the guest's word for it is checked."""
    procs = sample.get("procs")
    rows = procs if isinstance(procs, list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("pid"), int)]


def _plays(proc: Mapping[str, Any], role: str) -> bool:
    return proc.get("comm") == role or (proc.get("program") == role and not proc.get("comm"))


def _slab(meminfo: Mapping[str, Any], label: str) -> int:
    """What the kernel calls reclaimable of its own memory: KReclaimable from 4.20, SReclaimable before."""
    return _number(meminfo, "KReclaimable" if "KReclaimable" in meminfo else "SReclaimable", label)


def _event(seen: Any) -> Any:
    event = thing_of(seen)
    if event is None:
        raise Nothing("there was no OOM")
    return event


def _number(fields: Mapping[str, Any], name: str, label: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int):
        raise Missing(f"the sample '{label}' has no {name}")
    return value

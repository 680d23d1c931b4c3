# SPDX-License-Identifier: MIT
"""What each remedy of the table changes in a run, at several doses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.klog.explain.remedies import rows_for
from rig.klog.explain.remedy import How, RemedyRow, Setting
from rig.klog.explain.remedy_table import TABLE
from rig.scenario.plan import RenderedStep, render_plan
from rig.units import format_size, parse_size

if TYPE_CHECKING:
    from rig.klog import Event
    from rig.run.document import Run
    from rig.scenario.load import Scenario
    from rig.scenario.settings import Settings

__all__ = ["Dose", "Treatment", "not_played", "own_treatment", "treatments_for"]

MIB = 1 << 20
FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Doses of memory and swap, as fractions of the memory that ran out."""
SMALLER = (0.95, 0.9, 0.75, 0.5, 0.25)
"""Doses of smaller processes, as fractions of what they hold."""
SCORES = (-100, -250, -500, -999)


@dataclass(frozen=True)
class Dose:
    """One value of a treatment.

    text: as a user writes or reads it.
    sets: settings of a run that has it from its beginning.
    acts: steps of the plan that apply it just before the failure.
    size: bytes, for a dose that is a size.
    service: a program of a Debian package, with its arguments, that runs from the beginning.
    """

    text: str
    sets: tuple[str, ...] = ()
    acts: tuple[RenderedStep, ...] = ()
    size: int = 0
    service: tuple[str, ...] = ()


@dataclass(frozen=True)
class Treatment:
    """A change that is tried.

    remedy: name of its row in the table of remedies; `also` for the user's own idea.
    name: what is changed.
    doses: the weakest first.
    early: whether it must be there from the beginning of the run.
    none: the size that changes nothing, for doses that are sizes.
    at: returns the dose of a size; None where doses are no sizes.
    """

    remedy: str
    name: str
    doses: tuple[Dose, ...]
    early: bool = True
    none: int = 0
    at: Callable[[int], Dose] | None = None


@dataclass(frozen=True)
class _Case:
    """What is treated. pid, role: of the victim, where it is one of the scenario's processes."""

    scenario: Scenario
    settings: Settings
    run: Run
    role: str
    pid: int | None
    groups: tuple[str, ...]
    limit: int


def treatments_for(
    event: Event, scenario: Scenario, settings: Settings, run: Run, only: tuple[str, ...] = ()
) -> tuple[Treatment, ...]:
    """Return the treatments that fit an event, in the table's order.

    run: the control, in which the failure came.
    only: names of remedies; empty for all that apply.
    """
    case = _case(scenario, settings, run)
    rows = [row for row in TABLE if row.name in only] if only else rows_for(event)
    return tuple(treatment for row in rows for treatment in _of_row(row, case))


def own_treatment(text: str) -> Treatment:
    """Return the treatment of `--also NAME=VALUE`."""
    return Treatment("also", text, (Dose(text, (text,)),))


def not_played(event: Event, treatments: Sequence[Treatment], only: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the remedies that apply and that no run of this scenario can try, in words.

    only: names of remedies; empty for all.
    """
    tried = {treatment.remedy for treatment in treatments}
    rows = [row for row in rows_for(event) if row.name not in tried and (not only or row.name in only)]
    return tuple(f"{row.name}: {row.what}" for row in rows if all(each.how in _OF_PROGRAMS for each in row.settings))


_OF_PROGRAMS = (How.SERVICE, How.POLICY, How.SPAWN, How.MADVISE, How.BOOT, How.LIMIT, How.MOUNT)
"""Changes of programs, mounts and boot, which a run can try only where the scenario has a parameter for them."""


def _case(scenario: Scenario, settings: Settings, run: Run) -> _Case:
    victim = next((row for oom in run.ooms[:1] for row in oom.ranking if row.killed), None)
    groups, limit = [], 0
    for step in render_plan(scenario, settings).steps:
        words = dict(step.words)
        if step.verb == "cgroup" and "memory.max" in words:
            groups.append(words["name"])
            limit = limit or _bytes(words["memory.max"])
    return _Case(
        scenario, settings, run, victim.name if victim else "", victim.pid if victim and victim.ours else None,
        tuple(groups), limit,
    )  # fmt: skip


def _bytes(text: str) -> int:
    """Return the bytes of a limit; 0 for `max`."""
    try:
        return parse_size(text)
    except ValueError:
        return 0


def _of_row(row: RemedyRow, case: _Case) -> Iterator[Treatment]:
    for setting in row.settings:
        yield from _of_setting(row, setting, case)


def _of_setting(row: RemedyRow, setting: Setting, case: _Case) -> Iterator[Treatment]:
    match setting.how:
        case How.SYSCTL:
            yield from _sysctl(row, setting, case)
        case How.SWAP | How.ZRAM:
            yield from _swap(row, setting, case)
        case How.SIZE:
            memory = case.settings.memory
            sizes = [_whole(memory * (1 + fraction)) for fraction in FRACTIONS]
            yield _of_sizes(row.name, "memory", sizes, memory, _setting("memory"))
        case How.PARAMETER:
            yield from _smaller(row, case)
        case How.FILE:
            act = RenderedStep("write", (("path", setting.name), ("value", setting.value), ("on_error", "go")))
            name = f"{setting.name.rsplit('/', 2)[-2]}/{setting.name.rsplit('/', 1)[-1]}={setting.value}"
            yield Treatment(row.name, name, (Dose(name, acts=(act,)),), early=False)
        case How.SCORE:
            if case.pid is not None:
                path = f"/proc/{case.pid}/oom_score_adj"
                doses = tuple(
                    Dose(f"{case.role} oom_score_adj={score}", acts=(_write(path, str(score)),)) for score in SCORES
                )
                yield Treatment(row.name, f"oom_score_adj of {case.role}", doses, early=False)
        case How.CGROUP:
            yield from _cgroup(row, setting, case)
        case How.SPAWN | How.MADVISE:
            yield from _chosen(row, setting, case)
        case How.SERVICE:
            yield from _service(row, setting)
        case _:
            return


def _sysctl(row: RemedyRow, setting: Setting, case: _Case) -> Iterator[Treatment]:
    name = setting.name
    if setting.value:
        # How much may be promised must be known before it is promised.
        early = name.startswith("vm.overcommit") or name == "vm.nr_hugepages"
        text = f"{name}={setting.value}"
        acts = () if early else (RenderedStep("sysctl", (("name", name), ("value", setting.value))),)
        if name == "vm.overcommit_memory" and setting.value == "2":
            doses = tuple(
                Dose(f"{text} ratio={ratio}", (text, f"vm.overcommit_ratio={ratio}")) for ratio in (100, 80, 50)
            )
            yield Treatment(row.name, name, doses)
            return
        yield Treatment(row.name, text, (Dose(text, (text,), acts),), early)
        return
    ladders = {
        "vm.min_free_kbytes": [str(case.settings.memory // 1024 * percent // 100) for percent in (1, 2, 4, 8)],
        "vm.watermark_scale_factor": ["100", "300", "1000"],
        "vm.overcommit_ratio": ["60", "80", "100", "150", "200"],
        "vm.compaction_proactiveness": ["40", "70", "100"],
        "kernel.sysrq": ["0"],
    }
    values = ladders.get(name, [])
    early = name.startswith("vm.overcommit")
    doses = tuple(
        Dose(
            f"{name}={value}", (f"{name}={value}",),
            () if early else (RenderedStep("sysctl", (("name", name), ("value", value))),),
        )
        for value in values
    )  # fmt: skip
    if doses:
        yield Treatment(row.name, name, doses, early)


def _of_sizes(
    remedy: str, name: str, sizes: Sequence[int], none: int, at: Callable[[int], Dose], *, early: bool = True
) -> Treatment:
    return Treatment(remedy, name, tuple(at(size) for size in sizes), early, none, at)


def _setting(name: str) -> Callable[[int], Dose]:
    """Return what makes the dose of a setting that is a size."""

    def at(size: int) -> Dose:
        text = f"{name}={format_size(size)}"
        return Dose(text, (text,), size=size)

    return at


def _swap(row: RemedyRow, setting: Setting, case: _Case) -> Iterator[Treatment]:
    base = case.limit or case.settings.memory
    sizes = [_whole(base * fraction) for fraction in FRACTIONS]
    if setting.how is How.SWAP:
        yield _of_sizes(row.name, "swap", sizes, 0, _setting("swap"))
        return

    def zram(size: int) -> Dose:
        acts = (RenderedStep("swapon", (("zram", str(size)),)),)
        return Dose(f"zram={format_size(size)}", (f"zram={format_size(size)}",), acts, size)

    yield _of_sizes(row.name, "zram", sizes, 0, zram, early=False)


def _smaller(row: RemedyRow, case: _Case) -> Iterator[Treatment]:
    """Yield a treatment for each parameter that is the size of something: those of steps and limits are none."""
    sizes = {
        name: int(value)
        for name, value in case.settings.parameters.items()
        if case.scenario.parameters[name].type == "size" and name not in ("limit", "step") and int(value) >= 8 * MIB
    }
    for name, value in sorted(sizes.items(), key=lambda item: -item[1])[:4]:
        yield _of_sizes(row.name, name, [_whole(value * each) for each in SMALLER], value, _setting(name))


def _service(row: RemedyRow, setting: Setting) -> Iterator[Treatment]:
    """Yield earlyoom at several thresholds of available memory, in percent. systemd-oomd needs systemd as PID 1."""
    if setting.name == "earlyoom":
        doses = tuple(
            Dose(f"earlyoom -m {percent}", service=("earlyoom", "-r", "0", "-m", str(percent)))
            for percent in (3, 5, 10)
        )
        yield Treatment(row.name, "earlyoom", doses)


def _chosen(row: RemedyRow, setting: Setting, case: _Case) -> Iterator[Treatment]:
    """Yield a treatment for each parameter of the scenario that offers this way, and has another."""
    for name, parameter in case.scenario.parameters.items():
        if setting.value in (parameter.choices or ()) and case.settings.parameters[name] != setting.value:
            text = f"{name}={setting.value}"
            yield Treatment(row.name, text, (Dose(text, (text,)),))


def _cgroup(row: RemedyRow, setting: Setting, case: _Case) -> Iterator[Treatment]:
    if not case.groups or row.name == "own-cgroup":
        return
    group = case.groups[0]
    path = f"/sys/fs/cgroup/{group}/{setting.name}"
    base = case.limit or case.settings.memory // 4
    match setting.name:
        case "memory.max":

            def limit(size: int) -> Dose:
                return Dose(f"{group} memory.max={format_size(size)}", acts=(_write(path, str(size)),), size=size)

            sizes = [_whole(base * (1 + fraction)) for fraction in FRACTIONS]
            yield _of_sizes(row.name, f"memory.max of {group}", sizes, base, limit, early=False)
            return
        case "memory.high":
            values = [str(_whole(base * fraction)) for fraction in (0.95, 0.9, 0.75)]
        case "memory.low" | "memory.min":
            values = [str(_whole(base * fraction)) for fraction in (0.5, 0.9)]
        case "memory.swap.max":
            yield from _group_swap(row, group, base)
            return
        case _:
            values = [setting.value] if setting.value else []
    doses = tuple(Dose(f"{group} {setting.name}={_shown(value)}", acts=(_write(path, value),)) for value in values)
    if doses:
        yield Treatment(row.name, f"{setting.name} of {group}", doses, early=False)


def _group_swap(row: RemedyRow, group: str, base: int) -> Iterator[Treatment]:
    """Swap for a cgroup needs swap on the machine: compressed memory outside of the cgroup's limit."""
    path = f"/sys/fs/cgroup/{group}/memory.swap.max"

    def at(size: int) -> Dose:
        acts = (RenderedStep("swapon", (("zram", str(size)),)), _write(path, str(size)))
        return Dose(f"{group} memory.swap.max={format_size(size)} (zram)", acts=acts, size=size)

    sizes = [_whole(base * fraction) for fraction in FRACTIONS]
    yield _of_sizes(row.name, f"memory.swap.max of {group}", sizes, 0, at, early=False)


def _write(path: str, value: str) -> RenderedStep:
    return RenderedStep("write", (("path", path), ("value", value)))


def _shown(value: str) -> str:
    return format_size(int(value)) if value.isdecimal() and int(value) >= MIB else value


def _whole(size: float) -> int:
    return -(-int(size) // MIB) * MIB

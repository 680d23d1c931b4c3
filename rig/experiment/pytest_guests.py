# SPDX-License-Identifier: MIT
"""Provide guests to pytest tests: restore each from a shared snapshot, run a plan or a scenario, return its output."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.errors import RigError

if TYPE_CHECKING:
    from rig.experiment.pytest_run import TestedRun
    from rig.klog import Log
    from rig.run.records import Record

__all__ = ["Guest", "Guests"]

# Kinds of events that are not a fault of the kernel: a boot, and an OOM kill.
HARMLESS = frozenset({"oom", "boot"})


@dataclass
class Guests:
    """The guests of one test.

    sets: settings that they share, as NAME=VALUE.
    directories: directories of the runs so far, of plans and scenarios.
    runs: the runs of scenarios so far.
    """

    sets: tuple[str, ...] = ()
    directories: list[Path] = field(default_factory=list)
    runs: list[TestedRun] = field(default_factory=list)
    _temporary: ExitStack = field(default_factory=ExitStack)

    def run(self, scenario: str, **settings: object) -> TestedRun:
        """Run a scenario once. Write a dot in a setting's name as two underscores: vm__panic_on_oom=1."""
        from rig.deadline_scale import deadline_scale
        from rig.experiment.pytest_run import TestedRun
        from rig.experiment.request import Request
        from rig.experiment.run import run_scenario
        from rig.run.progress import NullProgress

        sets = tuple(f"{name.replace('__', '.')}={value}" for name, value in settings.items())
        request = Request(scenario, (*self.sets, *sets), timeout_scale=deadline_scale())
        run, directory = asyncio.run(run_scenario(request, NullProgress()))
        self.directories.append(directory)
        self.runs.append(TestedRun.of(run, directory))
        return self.runs[-1]

    def guest(self) -> Guest:
        """Return a guest that has not run yet."""
        return Guest(self)

    def console(self) -> str:
        """Return the console output of all guests, decoded with replacement and without terminal escapes."""
        from rig.sanitize import plain

        parts = [(directory / "console.log").read_bytes().decode(errors="replace") for directory in self.directories]
        return "\n".join(plain(line) for part in parts for line in part.splitlines())

    def klog(self) -> Log:
        """Return the kernel log of all guests, in the order of the runs."""
        from rig.klog import read

        return read([(directory / "console.log").read_bytes() for directory in self.directories])

    def events(self) -> list[str]:
        """Return one line for each event of the kernel log."""
        return [f"{event.kind}: {event.title or 'line ' + str(event.line)}" for event in self.klog().events]

    def oopses(self) -> list[str]:
        """Return one line for each event that is a fault of the kernel: all kinds but HARMLESS."""
        return [
            f"{event.kind}: {event.title} (line {event.line} of the console)"
            for event in self.klog().events
            if event.kind not in HARMLESS
        ]

    def close(self) -> None:
        """Remove the directories of plans; runs of scenarios are kept, where `rig runs` finds them."""
        self._temporary.close()

    def new_directory(self) -> Path:
        from rig.image.staging import staging_directory

        directory = self._temporary.enter_context(staging_directory("guest"))
        directory.chmod(0o755)
        self.directories.append(directory)
        return directory


@dataclass(frozen=True)
class Guest:
    """A guest for one plan."""

    guests: Guests

    def __call__(self, plan: str, *, programs: dict[str, Path] | None = None, timeout: float = 120) -> list[Record]:
        """Run a plan and return the agent's records.

        plan: one step a line, as in docs/reference/agent-protocol.md: a verb and KEY=VALUE words, separated by TABs or
          blanks.
        programs: name in the payload's bin -> a static executable, or a C file to compile. All of rig's own programs
          are there already.
        timeout: host seconds for the plan, before RIG_TIMEOUT_SCALE multiplies them.
        Raises RigError when the guest neither reaches the end of the plan nor panics.
        """
        return asyncio.run(self._run(plan, programs or {}, timeout))

    async def _run(self, plan: str, programs: dict[str, Path], timeout: float) -> list[Any]:
        from rig.deadline_scale import deadline_scale
        from rig.experiment.execute import execute
        from rig.experiment.execution import BOOT_DEADLINE, Deadlines, Execution
        from rig.experiment.kvm_fallback import refuse_failure_of_kvm, with_fallback
        from rig.experiment.prepare import PreparedGuest, prepare_guest
        from rig.image.guestcode import compile_program
        from rig.image.payload import Payload
        from rig.run.progress import NullProgress
        from rig.scenario.settings import guest_settings
        from rig.telemetry.records import read_records

        settings = guest_settings(self.guests.sets)
        guest = await prepare_guest(settings)
        files = {f"bin/{name}": path for name, path in guest.parts.code.programs.items()}
        for name, path in programs.items():
            files[f"bin/{name}"] = compile_program(guest.store, path) if path.suffix == ".c" else path

        async def run(guest: PreparedGuest) -> tuple[Execution, Path]:
            out = self.guests.new_directory()
            try:
                execution = await execute(
                    guest,
                    Payload(plan=_tabbed(plan), files=files),
                    out,
                    name="pytest",
                    deadlines=Deadlines(BOOT_DEADLINE, timeout).scaled(deadline_scale()),
                    progress=NullProgress(),
                )
            except RigError as error:
                refuse_failure_of_kvm(guest, settings.accel, error)
                raise
            refuse_failure_of_kvm(guest, settings.accel, execution)
            return execution, out

        def again(why: str) -> None:
            # What the guest under KVM printed is no test's: a failure of KVM says nothing about the kernel.
            self.guests.directories.pop()
            warnings.warn(why, stacklevel=1)

        execution, out = await with_fallback(guest, run, again)
        if execution.problem is not None and not self.guests.klog().of_kind("panic"):
            raise execution.problem
        records = list(read_records(out / "events.jsonl").items)
        bad = [f"line {each['line']}: {each['problem']}" for each in records if each["ev"] == "bad_plan"]
        if bad:
            raise RigError("the agent refused the plan", where=bad[0], remedy="see `rig help agent-protocol`")
        return records


def _tabbed(plan: str) -> str:
    """Return the plan with TABs between the words of each step, as the agent's protocol requires."""
    lines = (line.strip() for line in plan.strip().splitlines())
    return "\n".join(line if "\t" in line else "\t".join(line.split()) for line in lines) + "\n"

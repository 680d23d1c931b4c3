# SPDX-License-Identifier: MIT
"""Run the checks on a kernel: a few guests, many checks in each, and what every check makes of what was seen."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rig.errors import RigError
from rig.experiment.capacity import Capacity
from rig.experiment.execute import Deadlines, execute
from rig.experiment.prepare import Parts, find_parts, guest_spec
from rig.image.payload import Payload
from rig.image.store import Store
from rig.machine.qemu import Qemu, find_qemu
from rig.run.folder import new_run_id, runs_folder
from rig.run.progress import NullProgress
from rig.scenario.plan import PROGRAM_FOLDER
from rig.scenario.settings import guest_settings
from rig.verify.check import Batch, Check, Result, Saw, judged, release_of
from rig.verify.facts import facts_of

__all__ = ["Verified", "verify_kernel"]

# One CPU: with two a guest on the warp clock does not get past the start of the second (QEMU 7.2).
MEMORY, NUMA_MEMORY = "160M", "224M"
NUMA = (
    "-object", "memory-backend-ram,id=node0,size=160M",
    "-object", "memory-backend-ram,id=node1,size=64M",
    "-numa", "node,nodeid=0,cpus=0,memdev=node0",
    "-numa", "node,nodeid=1,memdev=node1",
)  # fmt: skip
ZRAM = 64 << 20
BOOT, RUN = 60.0, 120.0
PROGRAMS: dict[Batch, str] = {
    "commit": "verify-commit", "swap": "verify-commit",
    "oom": "verify-oom", "numa": "verify-oom", "panic": "verify-oom",
}  # fmt: skip


@dataclass(frozen=True)
class Verified:
    """The results on one kernel. unavailable: why there are none, as for a suite that the mirror does not serve."""

    kernel: str
    release: str = ""
    package: str = ""
    results: tuple[Result, ...] = ()
    seconds: float = 0.0
    unavailable: str = ""
    folder: Path | None = None


@dataclass
class _Guest:
    """One run of a guest: its batches, and the checks in them."""

    name: str
    checks: list[Check] = field(default_factory=list)
    numa: bool = False

    @property
    def memory(self) -> str:
        return NUMA_MEMORY if self.numa else MEMORY

    def plan(self) -> str:
        """The plan: a program a batch; swap comes after what is measured without."""
        lines = []
        for batch in ("commit", "swap", "oom", "numa", "panic"):
            names = [check.name for check in self.checks if check.batch == batch]
            if not names:
                continue
            if batch == "swap":
                lines.append(f"swapon\tzram={ZRAM}")
            words = [f"arg={{payload}}/{PROGRAM_FOLDER}/{PROGRAMS[batch]}", *(f"arg={name}" for name in names)]
            lines.append("\t".join(["spawn", f"program={batch}", *words]))
            lines.append(f"wait_exit\tprogram={batch}\ttimeout=3000")
        return "\n".join([*lines, "end\treason=done", ""])


def _guests(checks: Iterable[Check]) -> list[_Guest]:
    guests = {"commit": _Guest("commit"), "oom": _Guest("oom"), "numa": _Guest("numa", numa=True)}
    mortal = []
    for check in checks:
        if check.batch == "panic":
            mortal.append(_Guest(check.name, [check]))
        else:
            guests["commit" if check.batch == "swap" else check.batch].checks.append(check)
    return [guest for guest in (*guests.values(), *mortal) if guest.checks]


async def verify_kernel(
    kernel: str | None,
    checks: Sequence[Check],
    *,
    jobs: int | None = None,
    timeout_scale: float = 1.0,
    store: Store | None = None,
    told: Callable[[str], None] = lambda guest: None,
) -> Verified:
    """Run the checks on a kernel and return what became of each, in their order.

    A kernel that cannot be had gives no results and the reason. A guest that breaks breaks its own checks only.
    """
    began = time.monotonic()
    store, qemu = store or Store(), find_qemu()
    try:
        parts = await asyncio.to_thread(find_parts, store, kernel, None)
    except RigError as error:
        if error.status != RigError.status:
            raise
        return Verified(kernel or "", unavailable=str(error))
    folder = runs_folder() / "verify" / new_run_id()
    capacity = Capacity(jobs)

    async def one(guest: _Guest) -> dict[str, Result]:
        async with capacity.room_for(guest_settings([f"memory={guest.memory}"]).memory):
            results = await _run(store, qemu, parts, guest, folder / guest.name, timeout_scale)
        told(guest.name)
        return results

    found: dict[str, Result] = {}
    for results in await asyncio.gather(*(one(guest) for guest in _guests(checks))):
        found |= results
    ordered = tuple(found[check.name] for check in checks)
    verified = Verified(
        parts.kernel.spec, parts.kernel.release, parts.kernel.package or "", ordered, time.monotonic() - began,
        folder=folder,
    )  # fmt: skip
    _keep(verified, folder)
    return verified


async def _run(
    store: Store, qemu: Qemu, parts: Parts, guest: _Guest, out: Path, timeout_scale: float
) -> dict[str, Result]:
    settings = guest_settings([f"memory={guest.memory}"])
    spec = guest_spec(parts, settings, qemu_args=NUMA if guest.numa else ())
    files = {f"{PROGRAM_FOLDER}/{name}": parts.code.programs[name] for name in set(PROGRAMS.values())}
    out.mkdir(parents=True)
    problem: RigError | None = None
    try:
        execution = await execute(
            store,
            spec,
            qemu,
            Payload(plan=guest.plan(), files=files),
            out,
            name=f"verify-{guest.name}",
            deadlines=Deadlines(BOOT, RUN).scaled(timeout_scale),
            progress=NullProgress(),
            record=False,
        )
        problem = execution.problem
        seen = facts_of(out)
    except RigError as error:
        return {check.name: Result(check, "broken", error.what) for check in guest.checks}
    release = release_of(parts.kernel.release)
    results = {}
    for check in guest.checks:
        if check.name in seen:
            results[check.name] = judged(check, Saw(seen[check.name], release))
        else:
            why = problem.what if problem is not None else "its program said nothing"
            results[check.name] = Result(check, "broken", f"not measured: {why}")
    return results


def _keep(verified: Verified, folder: Path) -> None:
    content = {
        "schema_version": 1,
        "kernel": verified.kernel,
        "release": verified.release,
        "package": verified.package,
        "host_seconds": verified.seconds,
        "checks": [
            {
                "name": result.check.name,
                "status": result.status,
                "why": result.why,
                "numbers": dict(result.numbers),
                "rule": result.check.sentence,
                "sources": [str(source) for source in result.check.sources],
            }
            for result in verified.results
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verify.json").write_text(json.dumps(content, indent=1) + "\n")

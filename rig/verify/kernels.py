# SPDX-License-Identifier: MIT
"""Verify a kernel: measure the checks in guests, judge them with their controls, and keep the results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rig.errors import RigError
from rig.experiment.capacity import Capacity
from rig.experiment.prepare import find_parts
from rig.finishing import finish_in_thread, gathered
from rig.image.guestcode import build_guest_code
from rig.image.store import Store
from rig.run.directory import new_run_id, runs_directory
from rig.verify.check import Check, Facts, Result, judge_all, judge_check, judge_negated, parse_release
from rig.verify.checks import catalogue
from rig.verify.measure import Lab, Task, measure
from rig.whole_file import write_whole

__all__ = ["Verified", "as_json", "tasks_with_controls", "verify_kernel", "verify_kernels", "with_controls"]


@dataclass(frozen=True)
class Verified:
    """The results on one kernel.

    controls: title -> result of each control in which a condition of a check was negated.
    unavailable: why there are no results, e.g. the mirror does not serve the suite.
    """

    kernel: str
    release: str = ""
    package: str = ""
    results: tuple[Result, ...] = ()
    seconds: float = 0.0
    unavailable: str = ""
    directory: Path | None = None
    controls: Mapping[str, Result] = field(default_factory=dict)
    suite: str = "overcommit"


def with_controls(checks: Sequence[Check]) -> list[Check]:
    """Return the checks and those other checks that are their controls."""
    known = catalogue()
    controls = {check.control: known[check.control] for check in checks if check.control in known}
    return list({check.name: check for check in (*checks, *controls.values())}.values())


def tasks_with_controls(checks: Sequence[Check]) -> list[Task]:
    """Return what is measured in guests: the checks and their controls, each once."""
    measured = with_controls(checks)
    return [Task(check) for check in measured] + [Task(check, check.negated) for check in measured if check.negated]


def _judge(task: Task, facts: Facts) -> Result:
    return judge_negated(task.check, facts) if task.condition else judge_check(task.check, facts)


async def verify_kernel(
    kernel: str | None,
    checks: Sequence[Check],
    *,
    capacity: Capacity | None = None,
    timeout_scale: float = 1.0,
    store: Store | None = None,
    report: Callable[[str], None] = lambda guest: None,
) -> Verified:
    """Run the checks on a kernel and return the result of each, in their order.

    The result of a kernel that is not available holds only the reason. A guest that breaks affects only its own checks.
    Raises RigError when rig itself cannot run guests.
    """
    began = time.monotonic()
    store = store or Store()
    # Compile first, so that a compiler error is raised and does not make each kernel unavailable.
    await finish_in_thread(build_guest_code, store)
    try:
        parts = await finish_in_thread(find_parts, store, kernel, None)
    except RigError as error:
        # A usage error is raised: the caller named something that is not a kernel. Any other error makes only this
        # kernel unavailable.
        if error.status != RigError.status:
            raise
        return Verified(kernel or "", unavailable=str(error))
    directory = runs_directory() / "verify" / new_run_id()
    lab = Lab(store, parts, directory, capacity or Capacity(None), timeout_scale, report)
    tasks = tasks_with_controls(checks)
    measured = await measure(lab, tasks)
    release = parse_release(parts.kernel.release)
    results = judge_all({task.title: _judge(task, Facts(measured[task.title], release)) for task in tasks})
    verified = Verified(
        parts.kernel.spec,
        parts.kernel.release,
        parts.kernel.package or "",
        tuple(results[check.name] for check in checks),
        controls={task.title: results[task.title] for task in tasks if task.condition},
        seconds=time.monotonic() - began,
        directory=directory,
    )
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / "verify.json", (json.dumps(as_json(verified), indent=1) + "\n").encode())
    return verified


async def verify_kernels(
    kernels: Sequence[str | None], checks: Sequence[Check], *, jobs: int | None = None, timeout_scale: float = 1.0
) -> list[Verified]:
    """Verify several kernels at once. jobs: guests at a time; by default as many as the host's capacity allows."""
    capacity = Capacity(jobs)
    runs = (verify_kernel(kernel, checks, capacity=capacity, timeout_scale=timeout_scale) for kernel in kernels)
    return await gathered(runs)


def as_json(verified: Verified) -> dict[str, object]:
    """Return the results as verify.json holds them."""
    return {
        "schema_version": 1,
        "kernel": verified.kernel,
        "release": verified.release,
        "package": verified.package,
        "unavailable": verified.unavailable,
        "host_seconds": verified.seconds,
        "checks": [
            {
                "name": result.check.name,
                "status": result.status,
                "why": result.why,
                "numbers": dict(result.numbers),
                "rule": result.check.rule,
                "control": result.check.control_title or result.check.control,
                "sources": [str(source) for source in result.check.sources],
                "changes": [str(change) for change in result.check.changes],
            }
            for result in verified.results
        ],
    }

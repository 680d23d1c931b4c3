# SPDX-License-Identifier: MIT
"""Run one scenario once: prepare the guest, execute the plan, judge the claims, and write the run's directory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.errors import RigError
from rig.experiment.execute import execute
from rig.experiment.execution import BOOT_DEADLINE, Deadlines, Execution
from rig.experiment.kvm_fallback import refuse_failure_of_kvm, with_fallback
from rig.experiment.layers import resolve_layers
from rig.experiment.prepare import PreparedGuest, payload_of, prepare_guest, printed_command
from rig.experiment.provenance import environment_of, origin_of, recording_of
from rig.experiment.python_programs import refuse_missing_modules
from rig.experiment.request import Job, Request, check_job
from rig.experiment.runs_use import keep_runs_bound
from rig.finishing import finish_in_thread
from rig.image.bootfile import kernel_config
from rig.image.bounds import runs_bound
from rig.image.payload import Payload
from rig.image.store import Store
from rig.in_use import using_entries
from rig.machine.spec import Layer
from rig.run.damage import digest_files
from rig.run.directory import OpenRun, open_run, runs_directory
from rig.run.progress import Progress
from rig.scenario.kernel_cgroups import refuse_memory_of_cgroup_v1
from rig.scenario.kernel_sysctls import refuse_unknown_sysctls

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = ["print_qemu", "run_job", "run_scenario"]

# Host seconds. The plan's own time limits, on the guest's clock, end a warp run; this one ends a guest that hangs.
WARP_DEADLINE = 300.0


async def run_scenario(
    request: Request,
    progress: Progress,
    store: Store | None = None,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[Run, Path]:
    """Run a scenario, and return the run and its directory.

    meanwhile: called in a thread while the guest runs; callers import modules in it that will display the run.
    Raises UsageError for an invalid request.
    Raises RigError when rig or the guest fails before the plan has begun; after that, the verdict is `error` instead.
    """
    return await run_job(check_job(request), request, progress, store, meanwhile=meanwhile)


async def run_job(
    ready: Job,
    request: Request,
    progress: Progress,
    store: Store | None = None,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[Run, Path]:
    """Run a checked request, and return the run and its directory; see run_scenario() for parameters and errors."""
    with using_entries():
        return await _run_job(ready, request, progress, store or Store(), meanwhile)


async def _run_job(
    ready: Job, request: Request, progress: Progress, store: Store, meanwhile: Callable[[], None]
) -> tuple[Run, Path]:
    began, started = time.monotonic(), datetime.now(UTC)
    runs_bound()  # a RIG_RUNS_SIZE that is not a size is said before the guest runs
    progress.phase("prepare")
    if not ready.layers:
        plan, layers = await finish_in_thread(resolve_layers, store, ready.plan)
        ready = replace(ready, plan=plan, layers=layers)
    guest = await _prepared(request, ready, store, progress.phase)
    kernel = guest.parts.kernel
    await finish_in_thread(
        refuse_memory_of_cgroup_v1,
        ready.plan,
        guest.spec.append,
        f"{kernel.spec}, {kernel.release}",
        lambda: kernel_config(kernel),
    )
    if guest.parts.chosen:
        progress.line(guest.parts.chosen)
    if request.record and not guest.live and guest.unrecorded is not None:
        progress.line(f"this run is not recorded: {guest.unrecorded}")
    payload = Payload()
    if ready.departure is None:
        await finish_in_thread(refuse_missing_modules, ready.plan, guest.parts.rootfs.image)
        payload = await finish_in_thread(payload_of, store, ready.plan, guest.parts.code)
        payload = payload.with_extra(ready.extra)
        if ready.depart is not None:
            ready = replace(ready, departure=await ready.depart(ready, guest, payload))

    prepared = time.monotonic() - began
    return await with_fallback(
        guest,
        lambda tried: _execute_and_keep(
            ready, request, progress, _Attempt(tried, payload, started, began, prepared), meanwhile
        ),
        progress.line,
    )


@dataclass(frozen=True)
class _Attempt:
    """A guest with what it is to run. began and prepared: host seconds, a moment and a duration."""

    guest: PreparedGuest
    payload: Payload
    started: datetime
    began: float
    prepared: float


async def _execute_and_keep(
    ready: Job, request: Request, progress: Progress, attempt: _Attempt, meanwhile: Callable[[], None]
) -> tuple[Run, Path]:
    """Execute the plan, judge it, and keep the run.

    Raises FailedUnderKvm, and keeps nothing, where KVM failed.
    Raises UsageError for a sysctl that the guest's kernel does not have.
    """
    guest = attempt.guest

    def while_it_runs() -> None:
        _import_what_judges()
        meanwhile()

    with open_run() as opened:
        try:
            execution = await execute(
                guest,
                attempt.payload,
                opened.directory,
                name=opened.id,
                deadlines=_deadlines(ready, request.timeout_scale),
                progress=progress,
                dump_panics=request.dump_panics,
                reuse=request.reuse,
                meanwhile=while_it_runs,
                departure=ready.departure,
                admit=lambda snapshot: refuse_unknown_sysctls(
                    ready.plan, snapshot.sysctls, str(snapshot.ready.get("kernel", ""))
                ),
            )
        except RigError as error:
            refuse_failure_of_kvm(guest, ready.settings.accel, error)
            raise
        # Before the run is judged and kept: what KVM broke says nothing about the kernel's behaviour.
        refuse_failure_of_kvm(guest, ready.settings.accel, execution)
        execution.phases = {"prepare": attempt.prepared, **execution.phases}
        from rig.run.document import Phase

        with execution.phase("judge", progress):
            run = _judged(ready, opened, execution)
        # After the judgement, which writes timeline.csv. run.json cannot hold its own digest and is written last.
        files = digest_files(opened.directory)
        run = run.model_copy(
            update={
                "id": opened.id,
                "started": attempt.started.isoformat(timespec="milliseconds"),
                "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "host_seconds": time.monotonic() - attempt.began,
                "environment": environment_of(ready, guest, execution),
                "command": tuple(execution.command),
                "program": ready.program() if ready.program is not None else None,
                "phases": tuple(Phase(name=name, host_seconds=took) for name, took in execution.phases.items()),
                "panic_dump": execution.panic_dump,
                "left_out": execution.left_out,
                "recording": recording_of(opened.directory, guest, execution, files, ready.departure),
                "files": files,
                **origin_of(ready.departure),
            }
        )
        opened.keep(run)
    await finish_in_thread(keep_runs_bound, opened.directory)
    return run, opened.directory


def _import_what_judges() -> None:
    """Import the modules that `_judged` needs: it takes 0.2 s, during which the guest is running anyway."""
    import rig.klog
    import rig.scenario.build_run
    import rig.scenario.judge
    import rig.telemetry.timeline  # noqa: F401
    from rig.run.document import Run

    Run.model_rebuild()


def _deadlines(ready: Job, scale: float) -> Deadlines:
    if ready.settings.clock == "warp":
        plan = ready.plan_deadline or WARP_DEADLINE
        return Deadlines(BOOT_DEADLINE, plan, silence=ready.longest_silence).scaled(scale)
    # On the live clock, guest seconds are host seconds, so the sum of the plan's time limits bounds the run.
    bounds = [
        float(value)
        for step in ready.plan.steps
        for key, value in step.words
        if key in ("timeout", "seconds", "settle")
    ]
    return Deadlines(BOOT_DEADLINE, sum(bounds) * 1.1 + 60, silence=ready.longest_silence).scaled(scale)


def _judged(ready: Job, opened: OpenRun, execution: Execution) -> Run:
    from rig.klog import read
    from rig.scenario.after_end import find_last_time
    from rig.scenario.build_run import build_run
    from rig.scenario.evidence import Evidence
    from rig.scenario.judge import judge_scenario
    from rig.telemetry.records import read_records
    from rig.telemetry.stall import find_stalls
    from rig.telemetry.timeline import write_timeline

    with (opened.directory / "console.log").open("rb") as console:
        log = read(console)
        ends_at = find_last_time(console)
    records = read_records(opened.directory / "events.jsonl")
    write_timeline(records, opened.directory / "timeline.csv")
    cut = execution.left_out.get("console.log", 0)
    evidence = Evidence(
        ready.settings, ready.plan, records, log, execution.panicked, cut, ends_at, execution.log_at_panic
    )
    judgement = ready.judge(evidence) if ready.judge is not None else judge_scenario(ready.scenario, evidence)
    problem = execution.problem
    reason: dict[str, Any] = {}
    if judgement.verdict == "error" and problem is not None:
        reason = {"reason": problem.what}
    elif problem is not None and evidence.end() is not None:
        reason = {"reason": problem.what, "verdict": "error"}
    return build_run(
        ready.scenario, evidence, judgement, id=opened.id, started="", stalls=find_stalls(records), **reason
    )


async def _prepared(
    request: Request, ready: Job, store: Store, tell: Callable[[str], None] = lambda text: None
) -> PreparedGuest:
    return await prepare_guest(
        ready.settings,
        store=store,
        append=request.append,
        qemu_args=request.qemu_args,
        record=request.record,
        timeout_scale=request.timeout_scale,
        layers=tuple(Layer(layer.image, layer.digest, layer.size) for layer in ready.layers),
        tell=tell,
    )


async def print_qemu(request: Request, store: Store | None = None) -> str:
    """Return QEMU's command line for a request, quoted for a shell.

    In it, `RUN` stands for the run's id, and the descriptor number of -add-fd is an example.
    """
    guest = await _prepared(request, check_job(request), store or Store())
    dump = 3 if request.dump_panics else None
    try:
        return printed_command(guest, "RUN", Path("/tmp/rig-RUN"), runs_directory() / "RUN", dump)
    except OSError as error:
        raise RigError(str(error)) from error

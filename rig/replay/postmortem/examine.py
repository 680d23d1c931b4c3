# SPDX-License-Identifier: MIT
"""Make a run's post-mortem: replay to the stop point, dump the memory and read it.

Without debug symbols, the post-mortem is made from the kernel log and the agent's records.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rig.errors import RigError
from rig.finishing import finish_in_thread
from rig.image.staging import staging_directory
from rig.image.symbols import Symbols
from rig.machine.memory import dump_memory, open_dump, pack_dump, read_vmcoreinfo, unpack_dump
from rig.machine.qemu import Qemu
from rig.replay.postmortem.cross_check import compare
from rig.replay.postmortem.pages import read_arrays, regions_of
from rig.replay.postmortem.reported import arrays_recorded, moment_of, tasks_reported, tasks_sampled
from rig.replay.postmortem.stack import read_allocation, read_stack
from rig.replay.postmortem.tasks import read_tasks
from rig.replay.postmortem.zones import read_zones
from rig.replay.replay import Bounds
from rig.replay.replayable import Replayable
from rig.replay.stop_point import StopPoint, check_reached
from rig.replay.stopped import stopped_at
from rig.run.document import Run
from rig.run.postmortem import Disagreement, PostMortem
from rig.run.progress import Progress

if TYPE_CHECKING:
    from rig.klog import OomEvent

__all__ = ["post_mortem", "post_mortem_of_dump", "post_mortem_without_symbols"]


async def post_mortem(
    replayable: Replayable,
    qemu: Qemu,
    symbols: Symbols,
    point: StopPoint,
    progress: Progress,
    *,
    bounds: Bounds,
    frames: bool = False,
    keep: Path | None = None,
) -> PostMortem:
    """Replay to the stop point and read the guest's memory there.

    frames: include every page's frame number.
    keep: file that the compressed memory dump is written to.
    Raises the errors of stopped_at().
    """
    with staging_directory("post-mortem") as name:
        dump = Path(name) / "dump"
        async with stopped_at(replayable, qemu, symbols, point, Path(name), progress, bounds=bounds) as stopped:
            progress.phase("dump")
            await dump_memory(stopped.session, dump)
            vmcoreinfo = await read_vmcoreinfo(stopped.port, symbols.vmlinux)
        progress.phase("read")
        found = await asyncio.to_thread(
            _read, replayable.run, replayable.directory, dump, vmcoreinfo, symbols, point, stopped.instruction, frames
        )
        if keep is not None:
            await finish_in_thread(_keep, dump, keep)
        return found


def _keep(dump: Path, target: Path) -> None:
    packed = pack_dump(dump)
    try:
        shutil.move(packed, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            target.unlink()
        raise RigError(
            f"the dump cannot be kept: {error.strerror}", where=target, remedy="make room, or name another file"
        ) from error


def _read(
    run: Run,
    directory: Path,
    dump: Path,
    vmcoreinfo: bytes | None,
    symbols: Symbols,
    point: StopPoint,
    instruction: int | None,
    frames: bool,
) -> PostMortem:
    from rig.telemetry.records import read_records

    program = open_dump(dump, vmcoreinfo, symbols.vmlinux)
    pid, name, stack, trace = read_stack(program)
    allocation = read_allocation(program, trace)
    zones, tasks = read_zones(program), read_tasks(program)
    records = read_records(directory / "events.jsonl")
    arrays = read_arrays(program, regions_of(records.of("line")), with_frames=frames)
    compared = 0
    disagreements: tuple[Disagreement, ...] = ()
    # Elsewhere the report is older than the memory, and its numbers need not agree.
    report = first_oom(directory) if point.kind == "oom" else None
    if report is not None:
        compared, disagreements = compare(report, allocation, zones, tasks, pid)
    return PostMortem(
        run=run.id,
        at=str(point),
        source="memory",
        instruction=instruction,
        kernel=run.environment.kernel,
        task_pid=pid,
        task=name,
        stack=stack,
        allocation=allocation,
        zones=zones,
        tasks=tasks,
        arrays=arrays,
        compared=compared,
        disagreements=disagreements,
    )


def post_mortem_of_dump(run: Run, directory: Path, symbols: Symbols, *, frames: bool = False) -> PostMortem:
    """Read the memory dump that the run kept of its panicked guest; no replay is needed.

    Raises RigError when the run has no dump, or the dump cannot be read.
    """
    # run.json may be imported: the name must not lead out of the run's directory.
    if run.panic_dump is None or Path(run.panic_dump).name != run.panic_dump:
        raise RigError("the run keeps no dump of a panic", where=directory)
    if not (directory / run.panic_dump).is_file():
        raise RigError("the dump of the panic is gone", where=directory / run.panic_dump)
    with staging_directory("post-mortem") as name:
        dump = unpack_dump(directory / run.panic_dump, Path(name), run.guest.get("memory", 0))
        return _read(run, directory, dump, None, symbols, StopPoint("panic"), None, frames)


def first_oom(directory: Path) -> OomEvent | None:
    """Return the first OOM report in the run's console log, or None."""
    from rig.klog import read

    try:
        with (directory / "console.log").open("rb") as console:
            return next(iter(read(console).ooms), None)
    except OSError:
        return None


def post_mortem_without_symbols(run: Run, directory: Path, point: StopPoint, why: str) -> PostMortem:
    """Return a post-mortem from the OOM report and the agent's page maps, without reading memory.

    why: why the memory is not read.
    Raises UsageError for a stop point that the run never reaches.
    """
    from rig.telemetry.records import read_records

    check_reached(run, directory, point)
    records = read_records(directory / "events.jsonl")
    report = first_oom(directory) if point.kind == "oom" else None
    moment = moment_of(run, point, records)
    notes = [why, "pages are those of /proc/PID/pagemap: whether a page is shared, and not with whom"]
    if report is not None:
        notes.append("tasks are those of the OOM report")
    if moment is None:
        notes.append(f"no record tells when the guest reached {point}")
    oom = run.ooms[0] if report is not None and run.ooms else None
    tasks = tasks_reported(report) if report is not None else ()
    return PostMortem(
        run=run.id,
        at=str(point),
        source="records",
        notes=tuple(notes),
        kernel=run.environment.kernel,
        task_pid=oom.invoker_pid if oom else None,
        task=oom.invoker if oom else "",
        tasks=tasks or (tasks_sampled(records, moment) if moment is not None else ()),
        arrays=arrays_recorded(records.of("pagemap"), moment) if moment is not None else (),
    )

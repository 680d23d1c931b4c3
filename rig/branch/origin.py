# SPDX-License-Identifier: MIT
"""The run that is branched: its scenario, its plan and its guest, made again and checked against what the run had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rig.branch.kept_scenario import kept_scenario
from rig.errors import RigError, UsageError
from rig.experiment.booted import ensure_snapshot
from rig.experiment.execution import BOOT_DEADLINE, Deadlines, Execution
from rig.experiment.layers import resolve_layers
from rig.experiment.prepare import PreparedGuest, payload_of, prepare_guest
from rig.experiment.request import Request
from rig.finishing import finish_in_thread
from rig.image.digest import digest_file
from rig.image.payload import payload_key, write_payload
from rig.image.store import Store
from rig.machine.branch_point import BranchPoint, copy_image
from rig.machine.snapshot import Snapshot
from rig.machine.spec import Layer
from rig.run.directory import read_run
from rig.run.progress import NullProgress, Progress
from rig.scenario.load import Scenario, load_scenario
from rig.scenario.plan import RenderedPlan, render_plan
from rig.scenario.settings import Settings, parse_settings
from rig.telemetry.records import read_records

if TYPE_CHECKING:
    from rig.branch.changes import Changes
    from rig.branch.point import Point
    from rig.image.continuation import Continuation, Stop
    from rig.image.layer.layer import LayerImage
    from rig.run.document import Run
    from rig.run.records import Records

__all__ = ["Origin", "Root", "Source", "prepare_origin", "read_source"]


@dataclass(frozen=True)
class Source:
    """A past that can be branched: a scenario under settings, and the run that had it.

    plan: with the labels of its layers.
    run, directory, records: of the run; None for a past that no run has had yet, as in a sweep.
    root: for a run that is itself a future, what it was branched off; else None.
    """

    request: Request
    scenario: Scenario
    settings: Settings
    plan: RenderedPlan
    layers: tuple[LayerImage, ...] = ()
    run: Run | None = None
    directory: Path | None = None
    records: Records | None = None
    root: Root | None = None


@dataclass(frozen=True)
class Root:
    """What a future was branched off: the source and the point, what was changed, and the steps since."""

    source: Source
    point: Point
    changes: Changes
    continuation: Continuation


@dataclass(frozen=True)
class Origin:
    """A source with the guest that it runs in: all that a branch point is made from.

    snapshot: what the guest is restored from: a branch point for a source that is itself a future.
    booted: key of the snapshot of the booted guest.
    payload: SHA-256 of the payload's image.
    """

    source: Source
    store: Store
    guest: PreparedGuest
    snapshot: Snapshot
    booted: str
    payload: str

    def content(self, stop: Stop) -> Stop | Continuation:
        """Return what the continuation's device holds while the guest runs up to a point of this source."""
        return stop if self.source.root is None else replace(self.source.root.continuation, stop=stop)

    def write_payload(self, path: Path) -> None:
        """Write the payload's image: that of the boot, from which all programs of a future run too."""
        if isinstance(self.snapshot, BranchPoint):
            copy_image(self.snapshot.payload, path)
            return
        write_payload(payload_of(self.store, self.source.plan, self.guest.parts.code), path)


def read_source(directory: Path, store: Store) -> Source:
    """Return the past of a kept run that is no future of another one.

    Raises UsageError for a run that cannot be branched: on the live clock, with swap on a disk, of `rig exec`.
    Raises RigError when its scenario is not there, cannot be read, or is a path that came with an archive.
    """
    run = read_run(directory)
    _refuse(run, directory)
    sets = tuple(f"{name}={value}" for name, value in run.settings.items())
    where = kept_scenario(run, directory)
    scenario = load_scenario(where)
    settings = parse_settings(scenario, sets, to_the_end=run.to_the_end)
    plan, layers = resolve_layers(store, render_plan(scenario, settings))
    request = Request(
        scenario=where,
        sets=sets,
        to_the_end=run.to_the_end,
        append=tuple(run.environment.append),
        qemu_args=tuple(run.environment.qemu_args),
    )
    records = read_records(directory / "events.jsonl")
    return Source(request, scenario, settings, plan, layers, run, directory, records)


def _refuse(run: Run, directory: Path) -> None:
    if run.environment.clock != "warp":
        raise UsageError(
            "a run on the live clock cannot be branched: its time is the host's, which does not stop",
            where=directory,
            remedy="run it again without --clock live",
        )
    if run.branch is not None:
        raise UsageError(
            "this run is a future of another one",
            where=directory,
            remedy="read_past() takes it",
        )
    if run.program is not None:
        raise UsageError(
            "this is a run of 'rig exec', which has no plan with branch points",
            where=directory,
            remedy="put the program into a scenario: rig new NAME",
        )
    if run.guest.get("swap") or run.guest.get("disk"):
        raise UsageError(
            "a run with a disk, or with swap on one, cannot be branched: the disk is not part of what is saved",
            where=directory,
            remedy="run it without the disk, with zram in place of swap",
        )


async def prepare_origin(
    source: Source,
    store: Store,
    progress: Progress | None = None,
    *,
    record: bool = True,
    timeout_scale: float = 1.0,
    tell: Callable[[str], None] = lambda text: None,
) -> Origin:
    """Return the source with its guest, snapshot and payload, built where they are missing.

    Raises RigError when they are not those that the source's run had.
    """
    guest = await prepare_guest(
        source.settings,
        store=store,
        append=source.request.append,
        qemu_args=source.request.qemu_args,
        record=record,
        timeout_scale=timeout_scale,
        layers=tuple(Layer(layer.image, layer.digest, layer.size) for layer in source.layers),
        tell=tell,
    )
    if not guest.spec.continuation_size:
        raise UsageError("a guest on the live clock cannot be branched", where="clock", remedy="leave out --clock live")
    deadlines = Deadlines(BOOT_DEADLINE, 0).scaled(timeout_scale)
    snapshot = await ensure_snapshot(guest, deadlines, Execution(), progress or NullProgress())
    origin = Origin(source, store, guest, snapshot, snapshot.key, "")
    with store.staging_directory() as work:
        await finish_in_thread(origin.write_payload, work / "payload")
        origin = replace(origin, payload=await finish_in_thread(digest_file, work / "payload"))
    _check_same(origin)
    return origin


def _check_same(origin: Origin) -> None:
    run = origin.source.run
    if run is None:
        return
    again = f"run it again: rig run {origin.source.request.scenario}"
    if run.environment.snapshot_hash != origin.snapshot.key:
        raise RigError(
            "the run was in another guest than the one that rig makes for its settings now",
            where=f"snapshot {run.environment.snapshot_hash[:16]}, now {origin.snapshot.key[:16]}",
            remedy=f"kernel, image, QEMU or rig itself changed since; {again}",
        )
    if run.prefix is not None:
        # The run's own payload is that of the run which made its prefix.
        payload = payload_of(origin.store, origin.source.plan, origin.guest.parts.code)
        same = run.prefix.content == payload_key(payload)
    else:
        same = run.environment.payload_hash == origin.payload
    if not same:
        raise RigError(
            "the scenario or its programs have changed since the run",
            where=origin.source.scenario.directory,
            remedy=again,
        )

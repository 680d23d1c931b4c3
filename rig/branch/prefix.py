# SPDX-License-Identifier: MIT
"""Begin a run with a past that the cache holds, so that a prefix of its plan is not run again.

A prefix ends at a step `branch` of the plan: the scenario's author says what is worth keeping. The first run of a
prefix leaves a note. The second makes it: it runs up to the point, saves the guest there, and goes on from what was
saved. Later runs of the same steps begin there. A run that happens once therefore pays nothing, neither the second that
saving takes nor some hundred megabytes of disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rig.branch.changes import continued
from rig.branch.futures import saved_point
from rig.branch.origin import Origin, Source
from rig.branch.point import Point
from rig.branch.prefix_key import PrefixKey, prefix_keys
from rig.errors import RigError
from rig.experiment.departure import Departure, KeptPast
from rig.experiment.prepare import PreparedGuest
from rig.experiment.request import Job, Request, check_job
from rig.experiment.run import run_job
from rig.finishing import finish_in_thread
from rig.image.bounds import branch_bound
from rig.image.continuation import Continuation, Stop
from rig.image.payload import Payload, cached_payload, payload_key
from rig.image.store import Store
from rig.machine.branch_point import BranchPoint, find_branch_point
from rig.machine.identity import identity_of, key_of
from rig.machine.snapshot import Snapshot, find_snapshot
from rig.run.progress import Progress
from rig.scenario.kernel_sysctls import refuse_unknown_sysctls
from rig.whole_file import write_unsynced

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = ["run_from_prefix"]

NOTES = "prefixes"
"""File of the cache with the digests of the prefixes that were run."""
MOST_NOTES = 256
NOT_KEPT = "!"
"""Before the digest of a prefix that could not be saved, or from which a run could not be recorded."""


async def run_from_prefix(
    request: Request,
    progress: Progress,
    store: Store | None = None,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[Run, Path]:
    """Run a scenario as run_scenario() does, from the latest point of its plan whose past the cache holds."""
    store, job = store or Store(), check_job(request)
    if request.prefix and any(step.verb == "branch" for step in job.plan.steps):
        job = replace(job, depart=_Departing(request, store, progress).depart)
    return await run_job(job, request, progress, store, meanwhile=meanwhile)


@dataclass
class _Departing:
    request: Request
    store: Store
    progress: Progress

    async def depart(self, job: Job, guest: PreparedGuest, payload: Payload) -> Departure | None:
        """Return the kept past that the run begins with; make it if its steps were run before."""
        # A branch point holds memory and devices: the content of a disk at that time is not kept, and neither is the
        # host's time, on which a live guest's clock runs.
        if guest.live or guest.spec.swap or guest.spec.disk:
            return None
        snapshot = key_of(identity_of(guest.spec, guest.qemu))
        keys = prefix_keys(job.plan, snapshot, payload, [layer.digest for layer in job.layers])
        notes = _read_notes(self.store)
        start = None
        if any(key.digest in notes for key in keys):
            start = await finish_in_thread(find_snapshot, self.store, snapshot)
        if start is None:
            _add_notes(self.store, [key.digest for key in keys])
            return None
        # execute() checks this of a run that begins at its snapshot. Here the past would be saved first.
        refuse_unknown_sysctls(job.plan, start.sysctls, str(start.ready.get("kernel", "")))
        kept = await finish_in_thread(_kept_prefixes, self.store, start)
        # The latest point first: it leaves the least to run.
        for key in reversed(keys):
            if NOT_KEPT + key.digest in notes:
                continue
            found, made = None, False
            if (held := kept.get(key.digest)) is not None:
                found = await finish_in_thread(find_branch_point, self.store, held)
            elif key.digest in notes:
                found, made = await self._make(job, guest, payload, start, key), True
            if found is None:
                continue
            _add_notes(self.store, [each.digest for each in keys])
            return self._departure(job, payload, start, key, found, made=made)
        _add_notes(self.store, [key.digest for key in keys])
        return None

    async def _make(
        self, job: Job, guest: PreparedGuest, payload: Payload, start: Snapshot, key: PrefixKey
    ) -> BranchPoint | None:
        """Save the prefix and return its branch point; None where it cannot be saved."""
        if not _has_room(self.store, guest.spec.memory):
            return None
        self.progress.phase(f"keep the past up to '{key.point}'")
        source = Source(self.request, job.scenario, job.settings, job.plan, job.layers)
        point = Point(key.point, Stop(step=key.index + 1), key.index + 1)
        try:
            _, digest = await finish_in_thread(cached_payload, self.store, payload)
            origin = Origin(source, self.store, guest, start, start.key, digest)
            saved = await saved_point(origin, point, timeout_scale=self.request.timeout_scale)
        except RigError as error:
            self.progress.line(f"the past up to '{key.point}' is not kept: {error.what}")
            _add_notes(self.store, [NOT_KEPT + key.digest])
            return None
        return saved.branch_point

    def _departure(
        self, job: Job, payload: Payload, start: Snapshot, key: PrefixKey, point: BranchPoint, *, made: bool
    ) -> Departure:
        if made:
            self.progress.line(f"the past up to '{key.point}' is kept: the next run with the same past begins there")
        else:
            self.progress.line(
                f"begins at '{key.point}', {point.time:.1f} s of the guest's clock: the past until there is kept"
                " (--no-prefix runs it again)"
            )
        counted = {(source, number): index for source, number, index in point.note.get("counted", ())}
        lines = continued(job.plan.steps, point.step, counted)
        past = KeptPast(key.point, made, payload_key(payload))
        return Departure(point, Continuation(point.step, lines), start.key, past=past)


def _kept_prefixes(store: Store, start: Snapshot) -> dict[str, str]:
    """Return digest of a prefix -> key of its branch point, for those that were restored from this very snapshot."""
    found = {}
    for entry in store.entries("branch"):
        note = entry.about.get("note")
        if isinstance(note, dict) and note.get("snapshot") == start.digest:
            found[str(note.get("prefix"))] = entry.key
    return found


def _has_room(store: Store, memory: int) -> bool:
    """Return whether the disk and the bound of the branch points have room for two guests of this memory, in bytes."""
    return 2 * memory <= min(shutil.disk_usage(store.root).free, branch_bound())


def _read_notes(store: Store) -> list[str]:
    try:
        return (store.root / NOTES).read_text().split()
    except (OSError, ValueError):
        return []


def _add_notes(store: Store, digests: list[str]) -> None:
    """Note prefixes, the newest last. Of two processes that note at once one may be lost: it is made a run later."""
    notes = _read_notes(store)
    fresh = [digest for digest in digests if digest not in notes]
    if not fresh:
        return
    # A cache that cannot be written has no prefixes.
    write_unsynced(store.root / NOTES, "".join(f"{note}\n" for note in [*notes, *fresh][-MOST_NOTES:]))

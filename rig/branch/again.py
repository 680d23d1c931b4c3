# SPDX-License-Identifier: MIT
"""Run the kept past of a run again from the boot, and compare it with the one that the run began with."""

from __future__ import annotations

from pathlib import Path

from rig.branch.futures import DEADLINE
from rig.branch.origin import prepare_origin, read_source
from rig.errors import RigError, UsageError
from rig.image.continuation import Stop
from rig.image.staging import staging_directory
from rig.image.store import Store
from rig.machine.branch_point import find_branch_point, save_branch_point
from rig.run.directory import read_run
from rig.run.progress import Progress

__all__ = ["past_from_boot"]


async def past_from_boot(directory: Path, store: Store, progress: Progress, *, timeout_scale: float = 1.0) -> str:
    """Return how the past of a run differs when it is run again from the boot; empty where nothing does.

    Console and records until the point are compared, and the guest's whole memory at the point.
    Raises UsageError for a future of another run, RigError when the past cannot be run again.
    """
    run = read_run(directory)
    if run.branch is not None:
        raise UsageError(
            "this run is a future of another one", where="--from-boot", remedy=f"replay {run.branch.parent or 'that'}"
        )
    if run.prefix is None:
        return ""
    kept = find_branch_point(store, run.prefix.key)
    if kept is None:
        raise RigError(
            f"the past that the run began with ({run.prefix.key[:16]}) is not here any more",
            where=store.root / "branch",
            remedy="run it again: rig run --no-prefix",
        )
    progress.phase("the past, from the boot")
    origin = await prepare_origin(read_source(directory, store), store, progress, timeout_scale=timeout_scale)
    with staging_directory("past") as aside:
        again = await save_branch_point(
            Store(Path(aside)),
            origin.guest.spec,
            origin.guest.qemu,
            origin.snapshot,
            kept.payload,
            Stop(step=kept.step),
            kept.key,
            deadline=DEADLINE * timeout_scale,
            scale=timeout_scale,
        )
        for name, one, other in (("console", kept.console, again.console), ("records", kept.events, again.events)):
            if one.read_bytes() != other.read_bytes():
                return f"the {name} up to '{run.prefix.point}' differ from those that the run began with"
        if again.digest != kept.digest:
            return f"the guest's memory at '{run.prefix.point}' differs, and neither console nor records do"
    return ""

# SPDX-License-Identifier: MIT
"""Run the kept past of a run again from the boot, and compare it with the one that the run began with."""

from __future__ import annotations

from dataclasses import dataclass
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

__all__ = ["PastAgain", "past_from_boot"]


@dataclass(frozen=True)
class PastAgain:
    """The comparison of a past that was run twice.

    differs: how console or records do; empty where they are the same to the byte.
    same_memory: whether the whole memory of the guest was the same at the point.
    """

    point: str
    differs: str
    same_memory: bool

    def __str__(self) -> str:
        memory = "so is the guest's memory" if self.same_memory else "the guest's memory differs in places"
        return f"from the boot to '{self.point}': " + (self.differs or f"console and records are identical, {memory}")


async def past_from_boot(
    directory: Path, store: Store, progress: Progress, *, timeout_scale: float = 1.0
) -> PastAgain | None:
    """Run the past of a run again from the boot and compare it; None for a run that began at the boot.

    Raises UsageError for a future of another run, RigError when the past cannot be run again.
    """
    run = read_run(directory)
    if run.branch is not None:
        raise UsageError(
            "this run is a future of another one", where="--from-boot", remedy=f"replay {run.branch.parent or 'that'}"
        )
    if run.prefix is None:
        return None
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
            # A cache of its own, because add() would return the user's entry of this key.
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
        pairs = (("console", kept.console, again.console), ("records", kept.events, again.events))
        unlike = [name for name, one, other in pairs if one.read_bytes() != other.read_bytes()]
        differs = f"{' and '.join(unlike)}: not what the run began with" if unlike else ""
        return PastAgain(run.prefix.point, differs, again.digest == kept.digest)

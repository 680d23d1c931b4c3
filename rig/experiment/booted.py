# SPDX-License-Identifier: MIT
"""Find the snapshot of a guest, or boot the guest and save it."""

from __future__ import annotations

from rig.experiment.cache_use import keep_bound
from rig.experiment.execution import Deadlines, Execution
from rig.experiment.prepare import PreparedGuest
from rig.finishing import finish_in_thread
from rig.image.store import Store
from rig.machine.boot import make_snapshot
from rig.machine.identity import Identity, identity_of, key_of
from rig.machine.saving import saving_deadline
from rig.machine.session import Listeners
from rig.machine.snapshot import Snapshot, find_snapshot, nearest_snapshots
from rig.run.progress import Progress

__all__ = ["ensure_snapshot"]


async def ensure_snapshot(
    guest: PreparedGuest, deadlines: Deadlines, execution: Execution, progress: Progress
) -> Snapshot:
    """Return the guest's snapshot; boot the guest and create it if the cache has none.

    A lock in the cache keeps two processes from creating it twice.
    """
    store, identity = guest.store, identity_of(guest.spec, guest.qemu)
    key = key_of(identity)
    found = find_snapshot(store, key)
    if found is None:
        # The lock scales its deadline itself.
        work = deadlines.boot / deadlines.scale + saving_deadline(guest.spec)
        async with store.lock_async(f"snapshot-{key[:16]}", work):
            # Another rig may have made it while this one waited for the lock.
            found = find_snapshot(store, key)
            if found is None:
                with execution.phase("boot", progress):
                    if (why := _upgraded(store, identity)) is not None:
                        progress.line(f"the snapshot is made anew: {why}")
                    listeners = Listeners(on_line=lambda line: progress.console(line.decode(errors="replace")))
                    found = await make_snapshot(
                        store,
                        guest.spec,
                        guest.qemu,
                        deadline=deadlines.boot,
                        scale=deadlines.scale,
                        listeners=listeners,
                    )
        await finish_in_thread(keep_bound, store)
    return found


def _upgraded(store: Store, identity: Identity) -> str | None:
    """Return the difference to the nearest snapshot if it is QEMU alone, else None.

    A snapshot is restored only by the QEMU that made it.
    """
    for _, lines in nearest_snapshots(store, identity)[:1]:
        if len(lines) == 1 and lines[0].startswith("qemu:"):
            return lines[0]
    return None

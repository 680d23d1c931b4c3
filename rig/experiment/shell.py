# SPDX-License-Identifier: MIT
"""Give the user a shell in a live guest, on its second console."""

from __future__ import annotations

import asyncio

from rig.experiment.execute import Deadlines, Execution, ensure_snapshot
from rig.experiment.prepare import payload_of, prepare_guest
from rig.image.payload import Payload, blank_payload, write_payload
from rig.image.staging import staging_directory
from rig.machine.disk import disk_file
from rig.machine.session import Listeners, runtime_directory, swap_file
from rig.machine.snapshot import restored
from rig.machine.ssh import new_key
from rig.machine.terminal import attach, wait_for_prompt
from rig.run.progress import Progress
from rig.scenario.plan import RenderedPlan
from rig.scenario.settings import Settings

__all__ = ["shell"]


async def shell(
    settings: Settings, progress: Progress, *, plan: RenderedPlan | None = None, timeout_scale: float = 1.0
) -> None:
    """Open a shell in a live guest of these settings, and end the guest when the user leaves.

    plan: its programs are put into /payload/bin; the plan itself is not run.
    """
    progress.phase("prepare")
    guest = await prepare_guest(settings, timeout_scale=timeout_scale, tell=progress.phase)
    deadlines = Deadlines(boot=60, plan=0).scaled(timeout_scale)
    snapshot = await ensure_snapshot(guest, deadlines, Execution(), progress)
    with runtime_directory("shell") as directory, staging_directory("shell") as out:
        if plan is None:
            blank_payload(directory / "payload")
        else:
            # The agent ignores a payload that has neither a plan nor an SSH key, so it gets a key that nobody uses.
            _, line = new_key()
            programs = payload_of(guest.store, plan, guest.parts.code).files
            write_payload(Payload(texts={"authorized_keys": line}, files=programs), directory / "payload")
        swap_file(guest.spec, directory)
        disk_file(guest.spec, directory)
        wiring = guest.wiring("shell", directory, out, ssh=False)
        async with restored(guest.spec, wiring, guest.qemu, out, Listeners(), snapshot) as session:
            assert session.shell is not None
            connection, _ = session.shell.accept()
            with connection:
                await session.monitor.execute("cont")
                await asyncio.to_thread(wait_for_prompt, connection, 20 * timeout_scale)
                where = "" if plan is None else "; the scenario's programs are in /payload/bin"
                progress.phase(f"shell: leave with Ctrl-]{where}")
                progress.__exit__(None, None, None)
                await asyncio.to_thread(attach, connection)

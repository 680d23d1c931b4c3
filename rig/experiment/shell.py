# SPDX-License-Identifier: MIT
"""A live guest for a person: restored from its snapshot, with a shell on its second console."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rig.experiment.execute import Deadlines, Execution, ensure_snapshot
from rig.experiment.prepare import find_parts, guest_spec, payload_of
from rig.image.payload import Payload, blank_payload, write_payload
from rig.image.store import Store
from rig.machine.accel import choose_accel
from rig.machine.qemu import find_qemu
from rig.machine.session import Listeners, runtime_folder, swap_file
from rig.machine.snapshot import restored
from rig.machine.spec import Wiring
from rig.machine.ssh import new_key
from rig.machine.terminal import attach, wait_for_prompt
from rig.run.progress import Progress
from rig.scenario.plan import RenderedPlan
from rig.scenario.settings import Settings

__all__ = ["shell"]


async def shell(
    settings: Settings, progress: Progress, *, plan: RenderedPlan | None = None, timeout_scale: float = 1.0
) -> None:
    """Open a shell in a live guest of these settings, and end the guest when the person leaves.

    plan: one whose programs shall be there, in /payload/bin; it is not run.
    """
    store, qemu = Store(), find_qemu()
    progress.phase("prepare")
    parts = await asyncio.to_thread(find_parts, store, settings.kernel, settings.image)
    spec = guest_spec(parts, settings)
    choice = await choose_accel(store, spec, qemu, settings.accel, timeout_scale=timeout_scale, tell=progress.phase)
    spec = replace(spec, accel=choice.accel)
    deadlines = Deadlines(boot=60, plan=0).scaled(timeout_scale)
    snapshot = await ensure_snapshot(store, spec, qemu, deadlines, Execution(), progress)
    with runtime_folder("shell") as folder, TemporaryDirectory(prefix="rig-shell-") as out:
        if plan is None:
            blank_payload(folder / "payload")
        else:
            # Without a plan or a key the agent would take it for no payload.
            _, line = new_key()
            programs = payload_of(store, plan, parts.code).files
            write_payload(Payload(texts={"authorized_keys": line}, files=programs), folder / "payload")
        swap = swap_file(spec, folder)
        wiring = Wiring("shell", folder, folder / "payload", incoming=True, swap=swap, shell=True)
        async with restored(spec, wiring, qemu, Path(out), Listeners(), snapshot) as session:
            assert session.shell is not None
            connection, _ = session.shell.accept()
            with connection:
                await session.monitor.execute("cont")
                await asyncio.to_thread(wait_for_prompt, connection, 20 * timeout_scale)
                where = "" if plan is None else "; the scenario's programs are in /payload/bin"
                progress.phase(f"shell: leave with Ctrl-]{where}")
                progress.__exit__(None, None, None)
                await asyncio.to_thread(attach, connection)

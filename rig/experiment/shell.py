# SPDX-License-Identifier: MIT
"""Keep a live guest for the user: a shell on its second console, and an SSH server for other processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.errors import GuestError, RigError
from rig.experiment.booted import ensure_snapshot
from rig.experiment.execution import BOOT_DEADLINE, Deadlines, Execution
from rig.experiment.kvm_fallback import refuse_failure_of_kvm, with_fallback
from rig.experiment.prepare import PreparedGuest, payload_of, prepare_guest
from rig.finishing import end
from rig.image.payload import Payload, write_payload
from rig.image.staging import staging_directory
from rig.image.store import Store
from rig.machine.disk import disk_file
from rig.machine.live_guest import LiveGuest, guest_name
from rig.machine.restoring import restored
from rig.machine.session import Listeners, Session, runtime_directory, swap_file
from rig.machine.spec import Layer
from rig.machine.ssh import forwarded_port, new_key, push_plan
from rig.machine.terminal import attach, wait_for_prompt
from rig.run.progress import Progress
from rig.scenario.plan import RenderedPlan, RenderedStep
from rig.scenario.settings import Settings

if TYPE_CHECKING:
    import paramiko

    from rig.image.layer.layer import LayerImage

__all__ = ["shell"]

READY = "ready-for-the-user"
FOREVER = 30 * 365 * 86400
"""Guest seconds: how long the plan sleeps while the user works."""


async def shell(
    settings: Settings,
    progress: Progress,
    *,
    plan: RenderedPlan | None = None,
    programs: RenderedPlan | None = None,
    extra: Payload | None = None,
    layers: tuple[LayerImage, ...] = (),
    root: str = "/",
    wait: bool = False,
    timeout_scale: float = 1.0,
    store: Store | None = None,
    told: Callable[[LiveGuest], None] = lambda guest: None,
) -> None:
    """Open a shell in a live guest of these settings, and end the guest when the user leaves.

    plan: steps that are run before the user has the guest, such as those that make a root filesystem.
    programs: a plan whose programs are put into /payload/bin; its steps are not run.
    extra: further files of the payload.
    layers: filesystem layers of the root.
    root: path in the guest of the root filesystem that the plan makes for the user.
    wait: open no shell, and keep the guest until this task is cancelled.
    told: called with the guest once its SSH server is up.
    Raises GuestError when the guest does not come up or a step of the plan fails.
    """
    progress.phase("prepare")
    guest = await prepare_guest(
        settings,
        store=store,
        timeout_scale=timeout_scale,
        layers=tuple(Layer(layer.image, layer.digest, layer.size) for layer in layers),
        tell=progress.phase,
    )
    deadlines = Deadlines(boot=BOOT_DEADLINE, plan=0).scaled(timeout_scale)
    files = {} if programs is None else payload_of(guest.store, programs, guest.parts.code).files
    async with contextlib.AsyncExitStack() as stack:

        async def reach(tried: PreparedGuest) -> _Reached:
            try:
                return await stack.enter_async_context(_reached(tried, files, root, deadlines, progress))
            except RigError as error:
                refuse_failure_of_kvm(tried, settings.accel, error)
                raise

        reached = await with_fallback(guest, reach, progress.line)
        session, live = reached.session, reached.live
        if plan is not None:
            await _run_steps(session, live, reached.key, plan, extra or Payload(), deadlines)
        live.publish(reached.key)
        told(live)
        if wait:
            await session.process.wait()
            return
        await asyncio.to_thread(wait_for_prompt, reached.connection, 20 * timeout_scale)
        where = "" if programs is None else "; the scenario's programs are in /payload/bin"
        progress.phase(f"shell: leave with Ctrl-]{where}")
        progress.__exit__(None, None, None)
        await asyncio.to_thread(_let_the_user_in, reached.connection, root)


@dataclass(frozen=True)
class _Reached:
    """A live guest whose SSH server is up. connection: its second console. key: opens its SSH server."""

    session: Session
    live: LiveGuest
    connection: socket.socket
    key: paramiko.PKey


@contextlib.asynccontextmanager
async def _reached(
    guest: PreparedGuest, files: dict[str, Path], root: str, deadlines: Deadlines, progress: Progress
) -> AsyncIterator[_Reached]:
    """Start the guest and yield it once its SSH server is up. files: of the payload."""
    snapshot = await ensure_snapshot(guest, deadlines, Execution(), progress)
    with runtime_directory("shell") as directory, staging_directory("shell") as out:
        key, texts = new_key()
        write_payload(Payload(texts=texts, files=files), directory / "payload")
        swap_file(guest.spec, directory)
        disk_file(guest.spec, directory)
        wiring = guest.wiring("shell", directory, out)
        async with restored(
            guest.spec, wiring, guest.qemu, out, Listeners(), snapshot, scale=deadlines.scale
        ) as session:
            assert session.shell is not None
            connection, _ = session.shell.accept()
            with connection:
                await session.monitor.execute("cont")
                live = await _ssh_server(session, directory, root, deadlines)
                yield _Reached(session, live, connection, key)


def _let_the_user_in(connection: socket.socket, root: str) -> None:
    if root != "/":
        # The console's shell is in the agent's own root, where the program's root is a directory.
        connection.send(f"exec chroot {root} /bin/sh\n".encode())
    attach(connection)


async def _ssh_server(session: Session, directory: Path, root: str, deadlines: Deadlines) -> LiveGuest:
    """Wait for the guest's SSH server and return how it is reached."""
    reported = await session.record("ssh", deadlines.boot)
    port = forwarded_port(await session.monitor.human("info usernet"))
    return LiveGuest(guest_name(), directory, port, str(reported["host_key"]), root)


async def _run_steps(
    session: Session, live: LiveGuest, key: paramiko.PKey, plan: RenderedPlan, extra: Payload, deadlines: Deadlines
) -> None:
    """Run the steps of a plan in the guest, and keep it. Raises GuestError with the step that failed."""
    last = (
        RenderedStep("mark", (("name", READY),)),
        RenderedStep("sleep", (("seconds", str(FOREVER)),)),
    )
    text = replace(plan, steps=(*plan.steps, *last)).text()
    # Before the plan starts: a record that comes earlier than the wait for it is missed.
    marked = asyncio.ensure_future(session.record("mark", 2 * deadlines.boot))
    ended = asyncio.ensure_future(session.record("end", 2 * deadlines.boot))
    await asyncio.sleep(0)
    try:
        await asyncio.to_thread(
            push_plan, live.port, key, live.host_key, deadlines.boot,
            plan=text, files=extra.files, texts=extra.texts, links=extra.links,
            modes=extra.modes, directories=extra.directories,
        )  # fmt: skip
        await asyncio.wait({marked, ended}, return_when=asyncio.FIRST_COMPLETED)
        if marked.done():
            marked.result()
            return
        raise GuestError(f"the guest was not made ready: {_failed_step(session)}", where="rig shell")
    finally:
        await end(marked, ended)


def _failed_step(session: Session) -> str:
    steps: list[dict[str, Any]] = []
    for line in session.console_log.with_name("events.jsonl").read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            steps += [record] if record.get("ev") == "step" and not record.get("ok") else []
    return f"{steps[-1].get('verb')}: {steps[-1].get('error')}" if steps else "its agent ended the plan"

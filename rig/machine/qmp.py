# SPDX-License-Identifier: MIT
"""QEMU's machine protocol, by qemu.qmp: the few commands that the rig needs, with their errors in our words."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path
from typing import Any

from qemu.qmp import ExecuteError, QMPClient, QMPError

from rig.errors import RigError

__all__ = ["DUMP_DEADLINE", "Monitor"]

ANSWER_DEADLINE = 30.0
"""Host seconds until QEMU answers a command."""
STILL_DEADLINE = 60.0
"""Host seconds in which saving or restoring a guest must come further."""
DUMP_DEADLINE = 600.0
"""Host seconds for what writes the whole memory of a guest."""

logger = logging.getLogger(__name__)
STATE_SET = 8
"""The set of descriptors (add-fd) of a snapshot's file; command.py's DUMP_SET is another."""
# Its own logger reports each lost connection as an error; a QEMU that ends is no error here.
logging.getLogger("qemu.qmp").propagate = False
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


class Monitor:
    """A QMP session. The rig listens, QEMU connects.

    scale: multiplies the deadlines, for slow machines. A QEMU that is stopped, or hangs, answers nothing and does not
    close its socket either.
    """

    def __init__(self, name: str, scale: float = 1.0) -> None:
        self._client = QMPClient(name)
        self._scale = scale
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen(self, path: Path) -> None:
        """Begin to listen on a unix socket."""
        await self._client.start_server(str(path))

    async def accept(self) -> None:
        """Wait for QEMU's connection and negotiate. Raises RigError when that fails."""
        try:
            await self._client.accept()
        except QMPError as error:
            raise RigError(f"QEMU did not speak QMP: {error}", where="QMP") from error

    async def execute(self, command: str, *, deadline: float = ANSWER_DEADLINE, **arguments: Any) -> Any:
        """Run a command. Raises RigError with QEMU's words when it refuses, is gone, or does not answer in time."""
        logger.debug("QMP %s %s", command, arguments)
        seconds = deadline * self._scale
        try:
            return await asyncio.wait_for(self._client.execute(command, arguments or None), seconds)
        except TimeoutError:
            raise RigError(
                f"QEMU did not answer {command} within {seconds:g} s",
                where="QMP",
                remedy="it was stopped, or hangs; --timeout-scale 3 on a slow machine",
            ) from None
        except ExecuteError as error:
            raise RigError(f"QEMU refused {command}: {error}", where="QMP") from error
        except (QMPError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError):
                raise
            raise RigError(f"QEMU was gone when {command} was sent", where="QMP") from error

    async def human(self, command: str, *, deadline: float = ANSWER_DEADLINE) -> str:
        """Run a command of the human monitor and return its answer, which is empty or an error for most commands."""
        return str(await self.execute("human-monitor-command", deadline=deadline, **{"command-line": command}))

    async def send_fd(self, name: str, descriptor: int) -> None:
        """Give QEMU an open file under a name, which `fd:NAME` then means. Not through a multiplexer."""
        self._client.send_fd_scm(descriptor)
        await self.execute("getfd", fdname=name)

    async def migrate(self, direction: str, descriptor: int, *, to_file: bool) -> None:
        """Save to an open file (`out`), or restore from one (`in`), without the NVDIMMs.

        to_file: whether this QEMU takes a file as file:/dev/fdset/N; else it takes fd:, and has inherited the
        descriptor of `in`.
        """
        await self.execute("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
        # The default bound is for networks: 128 MB/s.
        await self.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        if to_file:
            # QEMU opens no path itself: it dropped its privileges, and the file may be reachable for rig alone.
            self._client.send_fd_scm(descriptor)
            await self.execute("add-fd", **{"fdset-id": STATE_SET})
            uri = f"file:/dev/fdset/{STATE_SET}"
        elif direction == "out":
            await self.send_fd("state", descriptor)
            uri = "fd:state"
        else:
            uri = f"fd:{descriptor}"
        await self.execute("migrate" if direction == "out" else "migrate-incoming", uri=uri)
        seen, moved = None, time.monotonic()
        while True:
            status = await self.execute("query-migrate")
            if status.get("status") == "completed":
                return
            if status.get("status") in ("failed", "cancelled"):
                raise RigError(
                    f"QEMU could not {'save' if direction == 'out' else 'restore'} the guest:"
                    f" {status.get('error-desc', 'no reason given')}",
                    where="migration",
                )
            # QEMU has the same open file: its position is how far it came.
            progress = (os.lseek(descriptor, 0, os.SEEK_CUR), status.get("ram", {}).get("transferred"))
            if progress != seen:
                seen, moved = progress, time.monotonic()
            if time.monotonic() - moved > STILL_DEADLINE * self._scale:
                raise RigError(
                    f"QEMU came no further with {'saving' if direction == 'out' else 'restoring'} the guest for"
                    f" {STILL_DEADLINE * self._scale:g} s",
                    where="migration",
                    remedy="--timeout-scale 3 on a slow machine",
                )
            await asyncio.sleep(0.005)

    async def state(self) -> str:
        """Return what QEMU says of its CPUs: running, paused, guest-panicked, internal-error (RunState of QMP)."""
        return str((await self.execute("query-status"))["status"])

    async def next_event(self, *names: str) -> dict[str, Any]:
        """Return the next of these events."""
        async for event in self._client.events:
            if event["event"] in names:
                return dict(event)
        raise RigError("QEMU's monitor closed", where="QMP")

    async def close(self) -> None:
        """End the session; QEMU may be gone already."""
        with contextlib.suppress(Exception):
            await self._client.disconnect()

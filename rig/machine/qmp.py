# SPDX-License-Identifier: MIT
"""QEMU's machine protocol, by qemu.qmp: the few commands that the rig needs, with their errors in our words."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

from qemu.qmp import ExecuteError, QMPClient, QMPError

from rig.errors import RigError

__all__ = ["Monitor"]

logger = logging.getLogger(__name__)
STATE_SET = 8
"""The set of descriptors (add-fd) of a snapshot's file; command.py's DUMP_SET is another."""
# Its own logger reports each lost connection as an error; a QEMU that ends is no error here.
logging.getLogger("qemu.qmp").propagate = False
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


class Monitor:
    """A QMP session. The rig listens, QEMU connects."""

    def __init__(self, name: str) -> None:
        self._client = QMPClient(name)
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

    async def execute(self, command: str, **arguments: Any) -> Any:
        """Run a command. Raises RigError with QEMU's words when it refuses or is gone."""
        logger.debug("QMP %s %s", command, arguments)
        try:
            return await self._client.execute(command, arguments or None)
        except ExecuteError as error:
            raise RigError(f"QEMU refused {command}: {error}", where="QMP") from error
        except (QMPError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError):
                raise
            raise RigError(f"QEMU was gone when {command} was sent", where="QMP") from error

    async def human(self, command: str) -> str:
        """Run a command of the human monitor and return its answer, which is empty or an error for most commands."""
        return str(await self.execute("human-monitor-command", **{"command-line": command}))

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
            await asyncio.sleep(0.005)

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

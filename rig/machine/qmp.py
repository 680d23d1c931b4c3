# SPDX-License-Identifier: MIT
"""QEMU's machine protocol (QMP) through the library qemu.qmp. Its errors become RigError with a remedy."""

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
from rig.finishing import finish, within

__all__ = ["BROKEN", "DUMP_DEADLINE", "STILL_DEADLINE", "Monitor"]

BROKEN = ("internal-error", "io-error", "watchdog")
"""States in which QEMU stops a guest for good (RunState, qapi/run-state.json)."""

ANSWER_DEADLINE = 30.0
"""Host seconds within which QEMU must answer a command."""
STILL_DEADLINE = 60.0
"""Host seconds without progress after which saving or restoring a guest is given up."""
DUMP_DEADLINE = 600.0
"""Host seconds for a command that writes a guest's whole memory."""

logger = logging.getLogger(__name__)
STATE_SET = 8
"""The fdset (add-fd) of a snapshot's file. command.py uses DUMP_SET for dumps."""
# The library logs every lost connection as an error. Here a QEMU that ends is normal.
logging.getLogger("qemu.qmp").propagate = False
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


class Monitor:
    """A QMP session. rig listens on the socket and QEMU connects to it.

    Every command has a deadline, because a QEMU that hangs or was stopped (SIGSTOP) keeps its socket open.
    scale: multiplies the deadlines, for slow machines.
    """

    def __init__(self, name: str, scale: float = 1.0) -> None:
        self._client = QMPClient(name)
        self._scale = scale
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen(self, path: Path) -> None:
        """Start to listen on a Unix socket."""
        await self._client.start_server(str(path))

    async def accept(self) -> None:
        """Accept QEMU's connection and negotiate the protocol. Raises RigError when that fails."""
        try:
            await self._client.accept()
        except QMPError as error:
            raise RigError(f"QEMU did not speak QMP: {error}", where="QMP") from error

    async def execute(self, command: str, *, deadline: float = ANSWER_DEADLINE, **arguments: Any) -> Any:
        """Run a command and return its result.

        deadline: host seconds.
        Raises RigError with QEMU's message when QEMU refuses, has ended, or does not answer in time.
        """
        logger.debug("QMP %s %s", command, arguments)
        seconds = deadline * self._scale
        try:
            return await within(seconds, self._client.execute(command, arguments or None))
        except TimeoutError:
            raise RigError(
                f"QEMU did not answer {command} within {seconds:g} s",
                where="QMP",
                remedy="QEMU was stopped or hangs; on a slow machine: --timeout-scale 3",
            ) from None
        except ExecuteError as error:
            raise RigError(f"QEMU refused {command}: {error}", where="QMP") from error
        except QMPError as error:
            raise RigError(f"QEMU had exited when {command} was sent", where="QMP") from error

    async def human(self, command: str, *, deadline: float = ANSWER_DEADLINE) -> str:
        """Run a human monitor command (HMP) and return its output. For most commands output means an error."""
        return str(await self.execute("human-monitor-command", deadline=deadline, **{"command-line": command}))

    async def send_fd(self, name: str, descriptor: int) -> None:
        """Pass an open file to QEMU (SCM_RIGHTS) under a name. `fd:NAME` then refers to it."""
        self._client.send_fd_scm(descriptor)
        await self.execute("getfd", fdname=name)

    async def migrate(self, direction: str, descriptor: int, *, to_file: bool) -> None:
        """Save the guest to an open file, or restore it from one, without shared memory such as the NVDIMMs.

        direction: `out` to save, `in` to restore.
        to_file: whether this QEMU takes file:/dev/fdset/N (features.py, MIGRATE_TO_FILE). Otherwise it takes fd:, and
        for `in` it has inherited the descriptor.
        Raises RigError when QEMU fails or makes no progress for STILL_DEADLINE.
        """
        await self.execute("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
        # QEMU limits migration to 128 MB/s by default, for networks.
        await self.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        if to_file:
            # Pass a descriptor, not a path: QEMU dropped its privileges and may lack access to the file's directory.
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
            # The descriptors of QEMU and rig share one file offset (open(2)), so it shows QEMU's progress.
            progress = (os.lseek(descriptor, 0, os.SEEK_CUR), status.get("ram", {}).get("transferred"))
            if progress != seen:
                seen, moved = progress, time.monotonic()
            if time.monotonic() - moved > STILL_DEADLINE * self._scale:
                raise RigError(
                    f"QEMU made no progress in {'saving' if direction == 'out' else 'restoring'} the guest for"
                    f" {STILL_DEADLINE * self._scale:g} s",
                    where="migration",
                    remedy="--timeout-scale 3 on a slow machine",
                )
            await asyncio.sleep(0.005)

    async def state(self) -> str:
        """Return QEMU's run state: running, paused, guest-panicked, internal-error or another RunState of QMP."""
        return str((await self.execute("query-status"))["status"])

    async def next_event(self, *names: str) -> dict[str, Any]:
        """Wait for the next event with one of these names and return it.

        A listener of qemu.qmp does not end when QEMU does: wait for QEMU's end beside it.
        """
        async for event in self._client.events:
            if event["event"] in names:
                return dict(event)
        raise RigError("QEMU's monitor closed", where="QMP")

    async def close(self) -> None:
        """Close the session. QEMU may have ended already."""
        # A disconnection that is left by half is cancelled when the event loop closes, and asyncio prints it.
        with contextlib.suppress(Exception):
            await finish(self._client.disconnect())

# SPDX-License-Identifier: MIT
"""A QEMU process that cannot outlive us: its own process group, and a guardian that ends it when the rig dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rig.errors import RigError
from rig.machine.hugepages import without_huge_pages

__all__ = ["QemuProcess", "running_qemu"]

# The guardian reads a pipe that only the rig holds open. End of file means that the rig is gone.
GUARDIAN = 'read -r word || kill -s KILL -- -"$0" 2>/dev/null'


class QemuProcess:
    """A started QEMU. `stderr`: the file that holds its own words."""

    def __init__(self, process: subprocess.Popen[bytes], stderr: Path) -> None:
        self._process = process
        self.stderr = stderr
        self.pid = process.pid
        self._exited = asyncio.Event()
        self._pidfd = os.pidfd_open(process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._note_exit)

    def _note_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        self._exited.set()

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal, None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for the end and return the exit status."""
        await self._exited.wait()
        return self._process.returncode

    def words(self) -> str:
        """Return what QEMU said on stderr."""
        with contextlib.suppress(OSError):
            return self.stderr.read_text(errors="replace")[-4000:]
        return ""

    async def stop(self, grace: float = 2.0) -> None:
        """End it: SIGTERM, and SIGKILL after the grace. A replay held by a debugger ignores SIGTERM."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._exited.is_set():
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._exited.wait(), grace)


@asynccontextmanager
async def running_qemu(
    command: Sequence[str], stderr: Path, inherit: Sequence[int] = (), *, small_pages: bool = False
) -> AsyncIterator[QemuProcess]:
    """Start QEMU and yield it; at the end of the block it is gone, however the block is left.

    inherit: open descriptors that QEMU gets under the same numbers; small_pages: without huge pages of the host.
    """
    with stderr.open("wb") as words, without_huge_pages() if small_pages else contextlib.nullcontext():
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
                pass_fds=inherit,
            )
        except OSError as error:
            raise RigError(f"QEMU cannot be started: {error.strerror}", where=command[0]) from error
    guardian = subprocess.Popen(
        ["/bin/sh", "-c", GUARDIAN, str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    qemu = QemuProcess(process, stderr)
    try:
        yield qemu
    finally:
        # A cancelled task must still see the process end.
        await asyncio.shield(qemu.stop())
        with contextlib.suppress(OSError):
            guardian.communicate(b"done\n", timeout=5)

# SPDX-License-Identifier: MIT
"""A QEMU process that cannot outlive rig. It has its own process group, which a guardian kills when rig dies."""

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
from rig.finishing import within
from rig.machine.hugepages import without_huge_pages

__all__ = ["QemuProcess", "running_qemu"]

# The guardian reads a pipe whose write end only rig holds. An end of file without a line means that rig was killed.
GUARDIAN = 'read -r word || kill -s KILL -- -"$0" 2>/dev/null'


class QemuProcess:
    """A started QEMU. `stderr`: the file with its standard output and standard error."""

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
        """The exit status, negative for a signal, or None while QEMU runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait until QEMU has ended, and return its exit status."""
        await self._exited.wait()
        return self._process.returncode

    def words(self) -> str:
        """Return the last 4000 characters of QEMU's output, empty if they cannot be read."""
        with contextlib.suppress(OSError):
            return self.stderr.read_text(errors="replace")[-4000:]
        return ""

    async def stop(self, grace: float = 2.0) -> None:
        """Stop QEMU with SIGTERM, and with SIGKILL after `grace` seconds.

        A replay that a debugger has stopped ignores SIGTERM.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._exited.is_set():
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(TimeoutError):
                await within(grace, self._exited.wait())


@asynccontextmanager
async def running_qemu(
    command: Sequence[str], stderr: Path, inherit: Sequence[int] = (), *, small_pages: bool = False
) -> AsyncIterator[QemuProcess]:
    """Start QEMU and yield it. QEMU has ended when the block is left, also by an exception.

    stderr: the file for QEMU's output.
    inherit: open descriptors that QEMU inherits under the same numbers.
    small_pages: whether to disable transparent huge pages for QEMU.
    Raises RigError when QEMU cannot be started.
    """
    # A session of its own for QEMU and for the guardian: Ctrl-C signals the terminal's whole foreground process group.
    # rig alone is to get it, to end the guest in order; the guardian has to outlive rig.
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
        # Without shield() a second cancellation would leave this block with QEMU still running.
        await asyncio.shield(qemu.stop())
        with contextlib.suppress(OSError):
            guardian.communicate(b"done\n", timeout=5)

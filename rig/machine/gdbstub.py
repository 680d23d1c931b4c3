# SPDX-License-Identifier: MIT
"""A client of QEMU's gdbstub: set breakpoints, continue, read registers and memory.

The protocol is gdb's remote serial protocol ("Remote Protocol" in gdb's manual). This module implements the part that
stops a replay at a symbol. QEMU resumes the guest when a debugger detaches; it leaves the guest stopped when the
connection closes without a detach.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rig.errors import RigError
from rig.finishing import within

__all__ = ["DebugPort", "GuestEnded", "debug_port"]

# The register order of QEMU's gdb-xml/i386-64bit.xml. Each of these registers has 8 bytes.
GENERAL = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
)  # fmt: skip
# The register number in gdb-xml/i386-64bit.xml: rip (16), eflags, six segment selectors, fs_base (24), gs_base (25).
GS_BASE = 25
LARGEST_READ = 1024
ANSWER_DEADLINE = 20.0
"""Host seconds within which QEMU must answer a packet. A guest that was told to run answers when it stops."""


class GuestEnded(RigError):
    """QEMU ended before the guest reached the stop point."""

    def __init__(self) -> None:
        super().__init__("the guest ended before it reached the stop point", where="replay")


class DebugPort:
    """A connection to the gdbstub of a stopped guest. Addresses are virtual, translated by the guest's current CPU.

    scale: multiplies the deadline of an answer, for slow machines.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, scale: float = 1.0) -> None:
        self._reader = reader
        self._writer = writer
        self._deadline = ANSWER_DEADLINE * scale

    async def _ask(self, packet: str) -> str:
        """Send a packet and return the answer. Raises RigError when QEMU does not answer in time, as a stopped one."""
        await self._send(packet)
        try:
            return await self._answer(self._deadline)
        except TimeoutError:
            raise RigError(
                f"QEMU's debugger port did not answer within {self._deadline:g} s",
                where="gdbstub",
                remedy="QEMU was stopped or hangs; on a slow machine: --timeout-scale 3",
            ) from None

    async def _send(self, packet: str) -> None:
        data = packet.encode()
        self._writer.write(b"$" + data + b"#%02x" % (sum(data) & 0xFF))
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise GuestEnded from error

    async def _answer(self, timeout: float) -> str:
        try:
            return await within(timeout, self._next())
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise GuestEnded from error

    async def _next(self) -> str:
        while await self._reader.readexactly(1) != b"$":
            pass
        answer = (await self._reader.readuntil(b"#"))[:-1]
        await self._reader.readexactly(2)
        self._writer.write(b"+")
        return answer.decode("ascii", errors="replace")

    def close(self) -> None:
        """Close the connection, so that another debugger can connect. The guest stays stopped."""
        self._writer.close()

    async def begin(self) -> None:
        """Stop the guest, as an attaching debugger does."""
        await self._ask("?")

    async def break_at(self, address: int) -> None:
        """Set a breakpoint. Under TCG it changes no byte of the guest's memory."""
        await self._expect_ok(f"Z0,{address:x},1")

    async def clear(self, address: int) -> None:
        """Remove a breakpoint."""
        await self._expect_ok(f"z0,{address:x},1")

    async def watch(self, address: int, size: int = 8) -> None:
        """Set a write watchpoint on `size` bytes. The guest stops after the instruction that writes."""
        await self._expect_ok(f"Z2,{address:x},{size}")

    async def unwatch(self, address: int, size: int = 8) -> None:
        """Remove a watchpoint."""
        await self._expect_ok(f"z2,{address:x},{size}")

    async def _expect_ok(self, packet: str) -> None:
        if (answer := await self._ask(packet)) != "OK":
            raise RigError(f"QEMU's debugger port answered '{answer}' to {packet}", where="gdbstub")

    async def stopped(self, timeout: float) -> None:
        """Wait for the report of a stop that this debugger did not ask for. timeout: seconds."""
        await self._answer(timeout)

    async def go(self, timeout: float) -> None:
        """Continue the guest until it stops.

        timeout: seconds.
        Raises TimeoutError when it does not stop in time, GuestEnded when QEMU ends.
        """
        await self._send("c")
        answer = await self._answer(timeout)
        if answer[:1] in ("W", "X"):
            raise GuestEnded

    async def step(self) -> None:
        """Run one instruction."""
        await self._ask("s")

    async def registers(self) -> dict[str, int]:
        """Return the general registers and rip."""
        raw = bytes.fromhex(await self._ask("g"))
        return dict(zip(GENERAL, struct.unpack_from(f"<{len(GENERAL)}Q", raw), strict=True))

    async def gs_base(self) -> int:
        """Return the base of GS: in kernel mode, the address of the current CPU's per-CPU area."""
        return int.from_bytes(bytes.fromhex(await self._ask(f"p{GS_BASE:x}")), "little")

    async def read(self, address: int, size: int) -> bytes:
        """Return `size` bytes of memory. Raises RigError where nothing is mapped."""
        data = b""
        while len(data) < size:
            count = min(size - len(data), LARGEST_READ)
            answer = await self._ask(f"m{address + len(data):x},{count:x}")
            if answer.startswith("E"):
                raise RigError(f"nothing is mapped at {address + len(data):#x}", where="the guest's memory")
            data += bytes.fromhex(answer)
        return data

    async def number(self, address: int, size: int = 8) -> int:
        """Return an unsigned little-endian number of `size` bytes from memory."""
        return int.from_bytes(await self.read(address, size), "little")


@asynccontextmanager
async def debug_port(path: Path, tcp: int | None = None, *, scale: float = 1.0) -> AsyncIterator[DebugPort]:
    """Connect to QEMU's gdbstub and yield the connection. The guest is still stopped after the block.

    path: the gdbstub's Unix socket.
    tcp: a port of 127.0.0.1 to use in place of the socket.
    scale: multiplies the deadline of an answer.
    Raises RigError when nothing listens there, or does not answer in time.
    """
    try:
        if tcp is None:
            reader, writer = await asyncio.open_unix_connection(str(path))
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", tcp)
    except OSError as error:
        raise RigError(f"QEMU's debugger port does not answer: {error.strerror}", where=path) from error
    try:
        port = DebugPort(reader, writer, scale)
        await port.begin()
        yield port
    finally:
        writer.close()

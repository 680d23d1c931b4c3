# SPDX-License-Identifier: MIT
"""QEMU's debugger port, spoken to directly: break, go on, read registers and memory.

The protocol is gdb's remote serial protocol ("Remote Protocol" in gdb's manual); of it only what stopping a replay at a
named place needs. QEMU resumes the guest when a debugger detaches, and leaves it stopped when the connection ends.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rig.errors import RigError

__all__ = ["DebugPort", "GuestEnded", "debug_port"]

# The order of registers in QEMU's gdb-xml/i386-64bit.xml; all of these are 8 bytes.
GENERAL = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
)  # fmt: skip
# Register numbers of the same file: eflags and six segment selectors follow rip, then the bases.
GS_BASE = 25
LARGEST_READ = 1024


class GuestEnded(RigError):
    """QEMU is gone, where the guest should have come to a place."""

    def __init__(self) -> None:
        super().__init__("the guest ended before it came to that place", where="replay")


class DebugPort:
    """A connection to a guest that stands still. Addresses are virtual, as the guest's CPU sees them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def _ask(self, packet: str, timeout: float = 20.0) -> str:
        data = packet.encode()
        self._writer.write(b"$" + data + b"#%02x" % (sum(data) & 0xFF))
        await self._writer.drain()
        return await self._answer(timeout)

    async def _answer(self, timeout: float) -> str:
        try:
            async with asyncio.timeout(timeout):
                while await self._reader.readexactly(1) != b"$":
                    pass
                answer = (await self._reader.readuntil(b"#"))[:-1]
                await self._reader.readexactly(2)
                self._writer.write(b"+")
                return answer.decode("ascii", errors="replace")
        except TimeoutError:
            raise
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise GuestEnded from error

    def close(self) -> None:
        """End the connection, for another debugger to come; the guest stands where it stands."""
        self._writer.close()

    async def begin(self) -> None:
        """Stop the guest, as a debugger that attaches does."""
        await self._ask("?")

    async def break_at(self, address: int) -> None:
        """Set a breakpoint. The guest's memory is not changed."""
        await self._expect_ok(f"Z0,{address:x},1")

    async def clear(self, address: int) -> None:
        """Take a breakpoint away."""
        await self._expect_ok(f"z0,{address:x},1")

    async def watch(self, address: int, size: int = 8) -> None:
        """Let each write to that memory stop the guest, after the instruction that writes."""
        await self._expect_ok(f"Z2,{address:x},{size}")

    async def unwatch(self, address: int, size: int = 8) -> None:
        """Take a watchpoint away."""
        await self._expect_ok(f"z2,{address:x},{size}")

    async def _expect_ok(self, packet: str) -> None:
        if (answer := await self._ask(packet)) != "OK":
            raise RigError(f"QEMU's debugger port answered '{answer}' to {packet}", where="gdbstub")

    async def stopped(self, timeout: float) -> None:
        """Take note of a stop that another than this debugger brought about."""
        await self._answer(timeout)

    async def go(self, timeout: float) -> None:
        """Let the guest run until it stops. Raises TimeoutError, or GuestEnded."""
        answer = await self._ask("c", timeout)
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
        """Return where the per-CPU data of the guest's CPU lie."""
        return int.from_bytes(bytes.fromhex(await self._ask(f"p{GS_BASE:x}")), "little")

    async def read(self, address: int, size: int) -> bytes:
        """Return memory. Raises RigError where nothing is mapped."""
        data = b""
        while len(data) < size:
            count = min(size - len(data), LARGEST_READ)
            answer = await self._ask(f"m{address + len(data):x},{count:x}")
            if answer.startswith("E"):
                raise RigError(f"nothing is mapped at {address + len(data):#x}", where="the guest's memory")
            data += bytes.fromhex(answer)
        return data

    async def number(self, address: int, size: int = 8) -> int:
        """Return an unsigned number from memory."""
        return int.from_bytes(await self.read(address, size), "little")


@asynccontextmanager
async def debug_port(path: Path, tcp: int | None = None) -> AsyncIterator[DebugPort]:
    """Connect to QEMU's debugger socket, or its port on 127.0.0.1; at the end of the block the guest stands still."""
    try:
        if tcp is None:
            reader, writer = await asyncio.open_unix_connection(str(path))
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", tcp)
    except OSError as error:
        raise RigError(f"QEMU's debugger port does not answer: {error.strerror}", where=path) from error
    try:
        port = DebugPort(reader, writer)
        await port.begin()
        yield port
    finally:
        writer.close()

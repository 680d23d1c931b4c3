# SPDX-License-Identifier: MIT
"""The gdbstub client, tested against a stub that answers like QEMU."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.machine.gdbstub import debug_port


def _packet(text: str) -> bytes:
    return b"$%s#%02x" % (text.encode(), sum(text.encode()) & 0xFF)


async def _with_stub(path: Path, answers: dict[str, str], work) -> None:  # type: ignore[no-untyped-def] # a coroutine function of the test
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"$")
                asked = (await reader.readuntil(b"#"))[:-1].decode()
                await reader.readexactly(2)
                if (answer := answers.get(asked)) is None:
                    break
                writer.write(b"+" + _packet(answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_unix_server(serve, path=str(path))
    async with server, debug_port(path) as port:
        await work(port)


def test_memory_is_read_in_pieces(tmp_path: Path) -> None:
    answers = {"?": "T05", "mffff0000,400": "ab" * 1024, "mffff0400,10": "cd" * 16}

    async def work(port) -> None:  # type: ignore[no-untyped-def] # as above
        assert await port.read(0xFFFF0000, 1040) == b"\xab" * 1024 + b"\xcd" * 16

    asyncio.run(_with_stub(tmp_path / "gdb", answers, work))


def test_memory_that_is_not_mapped_is_named(tmp_path: Path) -> None:
    async def work(port) -> None:  # type: ignore[no-untyped-def] # as above
        with pytest.raises(RigError, match="nothing is mapped at 0x10"):
            await port.read(0x10, 8)

    asyncio.run(_with_stub(tmp_path / "gdb", {"?": "T05", "m10,8": "E14"}, work))


def test_guest_that_ends_on_the_way_is_no_hang(tmp_path: Path) -> None:
    async def work(port) -> None:  # type: ignore[no-untyped-def] # as above
        with pytest.raises(RigError, match="ended before it reached the stop point"):
            await port.go(5)

    asyncio.run(_with_stub(tmp_path / "gdb", {"?": "T05"}, work))


def test_stub_that_does_not_answer_ends_with_a_remedy(tmp_path: Path) -> None:
    async def work() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with (
            await asyncio.start_unix_server(silent, path=str(tmp_path / "gdb")),
            debug_port(tmp_path / "gdb", scale=0.001),
        ):
            pass

    with pytest.raises(RigError, match=r"debugger port did not answer within 0.02 s .*--timeout-scale"):
        asyncio.run(work())


def test_port_that_nobody_serves_is_named(tmp_path: Path) -> None:
    async def work() -> None:
        async with debug_port(tmp_path / "nothing"):
            pass

    with pytest.raises(RigError, match="does not answer"):
        asyncio.run(work())

# SPDX-License-Identifier: MIT
"""Read a stopped guest's memory with drgn, which applies the kernel's types to a dump that QEMU wrote."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rig.disk import disk_full
from rig.errors import RigError
from rig.extras import lacking
from rig.image.elf import symbol_addresses
from rig.image.hosttools import run_tool
from rig.image.programs import STREAM
from rig.image.unpack import unpack_zst
from rig.machine.gdbstub import DebugPort
from rig.machine.qmp import DUMP_DEADLINE
from rig.machine.session import Session

if TYPE_CHECKING:
    import drgn

__all__ = [
    "dump_memory",
    "member_offset",
    "open_dump",
    "pack_dump",
    "read_vmcoreinfo",
    "type_program",
    "unpack_dump",
    "variable_member_offset",
]


LARGEST_MEMORY = 64 << 30
BESIDE_MEMORY = 256 << 20
"""Limits on a dump, in bytes: its guest's memory, and what an ELF core holds beside it (registers, headers)."""


def _drgn() -> None:
    try:
        import drgn  # noqa: F401
    except ImportError as error:
        raise lacking("drgn", str(error)) from error


VMLINUX = "vmlinux"


@cache
def type_program(vmlinux: Path) -> drgn.Program:
    """Return a drgn program that has the kernel's types and no memory."""
    _drgn()
    import drgn

    program = drgn.Program(drgn.host_platform)
    # This program has no core dump or process that would name its modules, so vmlinux is added as an extra module.
    program.extra_module(VMLINUX, create=True).try_file(str(vmlinux), force=True)
    return program


def member_offset(vmlinux: Path, kind: str, member: str) -> int:
    """Return the offset in bytes of a structure's member, from the debug information."""
    return int(type_program(vmlinux).type(kind).member(member).offset)


def variable_member_offset(vmlinux: Path, variable: str, member: str) -> int:
    """Return the offset in bytes of a member of a variable whose structure may have no name.

    For an array it is the member of the first element.
    """
    kind = type_program(vmlinux).variable(variable).type_
    import drgn

    structure = kind.type if kind.kind == drgn.TypeKind.ARRAY else kind
    return int(structure.member(member).offset)


async def dump_memory(session: Session, target: Path) -> None:
    """Write the stopped guest's memory and registers into an ELF core file.

    Raises RigError when the disk is full or QEMU refuses.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        await session.monitor.send_fd("dump", descriptor)
        await session.monitor.execute("dump-guest-memory", deadline=DUMP_DEADLINE, paging=False, protocol="fd:dump")
    except RigError as error:
        free = os.statvfs(target.parent)
        full = free.f_bavail * free.f_frsize < 4 << 20
        target.unlink(missing_ok=True)
        if full:
            raise disk_full(target.parent) from error
        raise
    finally:
        os.close(descriptor)


def pack_dump(dump: Path) -> Path:
    """Replace a dump by `<dump>.zst` and return the path of that file. Raises RigError when the disk is full.

    QEMU's own compressed format (kdump) is not used, because drgn does not read the files that QEMU 7.2 writes.
    """
    packed = dump.with_name(dump.name + ".zst")
    try:
        run_tool(
            ["zstd", "-q", "-f", "-1", "-T0", "--rm", dump, "-o", packed], what="compressing the dump", deadline=STREAM
        )
    except RigError:
        packed.unlink(missing_ok=True)
        raise
    return packed


def unpack_dump(packed: Path, into: Path, memory: int) -> Path:
    """Decompress a file of pack_dump() and return the dump.

    memory: bytes of the guest's memory.
    Raises RigError for a damaged file, for one that is larger than the dump of such a guest, and for a full disk.
    """
    target = into / "dump"
    most = min(memory, LARGEST_MEMORY) + BESIDE_MEMORY
    if not unpack_zst(packed, target, most, what="the unpacked dump"):
        raise RigError(
            "the dump of the guest's memory is damaged", where=packed, remedy="run it again, or import it again"
        )
    return target


async def read_vmcoreinfo(port: DebugPort, vmlinux: Path) -> bytes:
    """Return the kernel's vmcoreinfo, which drgn needs and which QEMU's dump may lack.

    It is in kernel/crash_core.c, since 6.9 in kernel/vmcore_info.c (commit 443cbaf9e2fd).
    Raises RigError when the kernel has none or has not set it up yet.
    """
    names = ("vmcoreinfo_data", "vmcoreinfo_size")
    found = await asyncio.to_thread(symbol_addresses, vmlinux, names)
    missing = [name for name in names if name not in found]
    if missing:
        # CONFIG_CRASH_CORE (CONFIG_VMCORE_INFO since 6.9) has no prompt.
        # CONFIG_PROC_KCORE selects it (fs/proc/Kconfig).
        raise RigError(f"the kernel has no {missing[0]}", where=vmlinux, remedy="build it with CONFIG_PROC_KCORE")
    data, size = await port.number(found["vmcoreinfo_data"]), await port.number(found["vmcoreinfo_size"])
    if not data or not 0 < size <= 4096:
        raise RigError("the guest's kernel has not set up vmcoreinfo", where="the guest's memory")
    return await port.read(data, size)


def open_dump(dump: Path, vmcoreinfo: bytes | None, vmlinux: Path) -> drgn.Program:
    """Return a drgn program for a dump, with the kernel's symbols loaded.

    vmcoreinfo: the note's content, for a dump that may lack it.
    Raises RigError when drgn cannot read the dump.
    """
    _drgn()
    import drgn

    program = drgn.Program(vmcoreinfo=vmcoreinfo)
    try:
        program.set_core_dump(str(dump))
        program.load_debug_info([str(vmlinux)])
    except drgn.MissingDebugInfoError:
        # drgn lacks only the symbols of loadable modules. Those of vmlinux are enough here.
        pass
    except (ValueError, OSError, LookupError) as error:
        raise RigError(f"drgn cannot read the guest's memory: {error}", where=dump) from error
    return program

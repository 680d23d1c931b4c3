# SPDX-License-Identifier: MIT
"""Read a kernel file's format, release, build id and configuration without booting it.

Two forms boot: a bzImage, by the header of Documentation/arch/x86/boot.rst, and a vmlinux with a PVH entry, which
QEMU loads as it is (Xen's docs/misc/pvh.pandoc; the note XEN_ELFNOTE_PHYS32_ENTRY).
"""

from __future__ import annotations

import bz2
import lzma
import mmap
import re
import struct
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError, UsageError
from rig.extras import lacking
from rig.image.elf import build_id, notes
from rig.image.entry import Entry
from rig.image.hosttools import tool
from rig.image.programs import started_program

__all__ = [
    "Kernel",
    "boot_build_id",
    "boot_config",
    "config_beside",
    "kernel_config",
    "kernel_of_entry",
    "kernel_release",
]

BZIMAGE, VMLINUX = "bzImage", "vmlinux"
EM_X86_64 = 62
MACHINES = {3: "32-bit x86", 40: "32-bit ARM", 183: "arm64", 243: "RISC-V", 21: "64-bit PowerPC", 22: "s390"}
XEN_ELFNOTE_PHYS32_ENTRY = 18  # include/xen/interface/elfnote.h
LARGEST_KERNEL = 1 << 30
"""Bytes of a kernel that is unpacked. Debian's 6.12 has some 70 MB, and one with everything built in some hundreds."""
GIVE_ONE = "give an x86-64 bzImage, or a vmlinux built with CONFIG_PVH"


@dataclass(frozen=True)
class Kernel:
    """A bootable kernel.

    spec: as it was asked for; release: `uname -r`; package: name and version, or commit, where it came from one;
    image: the bzImage or vmlinux that QEMU is given; modules: the directory that holds lib/modules/RELEASE, or None
    where all is built in; digest: of the image.
    """

    spec: str
    release: str
    package: str | None
    image: Path
    modules: Path | None
    digest: str


def kernel_of_entry(entry: Entry) -> Kernel:
    """Return the kernel in a cache entry, and record a use of the entry."""
    entry.touch()
    boots = entry.about.get("boots", BZIMAGE)
    return Kernel(
        spec=entry.about["spec"],
        release=entry.about["release"],
        package=entry.about["package"],
        image=entry.file(boots),
        modules=entry.path if (entry.path / "lib/modules").is_dir() else None,
        digest=entry.files[boots],
    )


def kernel_release(path: Path) -> str:
    """Return the release of the kernel in a bzImage or vmlinux.

    Raises UsageError when the file is neither, is for another machine, or is a vmlinux that QEMU cannot start.
    """
    try:
        with path.open("rb") as file:
            head = file.read(0x10000)
            if head[:4] == b"\x7fELF":
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    return _vmlinux_release(data, path)
    except (OSError, ValueError) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(f"cannot be read: {words}", where=path, remedy="name a bzImage or a vmlinux") from error
    if head[0x202:0x206] != b"HdrS":
        kind = "an arm64 Image" if head[0x38:0x3C] == b"ARMd" else "not a kernel for x86"
        raise UsageError(f"is {kind}", where=path, remedy=GIVE_ONE)
    # XLF_KERNEL_64 of xloadflags: since version 2.12 of the protocol (Linux 3.8).
    version, flags = struct.unpack_from("<H", head, 0x206)[0], struct.unpack_from("<H", head, 0x236)[0]
    if version >= 0x20C and not flags & 1:
        raise UsageError("is a kernel for 32-bit x86", where=path, remedy=GIVE_ONE)
    (offset,) = struct.unpack_from("<H", head, 0x20E)
    text = head[offset + 0x200 : offset + 0x300].split(b"\0")[0].decode(errors="replace")
    return text.split(" ")[0] or "unknown"


def _vmlinux_release(data: mmap.mmap, path: Path) -> str:
    if data[4:6] != b"\x02\x01" or struct.unpack_from("<H", data, 18)[0] != EM_X86_64:
        number = struct.unpack_from(">H" if data[5] == 2 else "<H", data, 18)[0]
        raise UsageError(f"is a file for {MACHINES.get(number, f'machine {number}')}", where=path, remedy=GIVE_ONE)
    banner = re.search(rb"Linux version (\S+) \(", data)
    if banner is None:
        raise UsageError("is an ELF file, but not a Linux kernel", where=path, remedy=GIVE_ONE)
    if not any(kind == XEN_ELFNOTE_PHYS32_ENTRY and name == b"Xen" for name, kind, _ in notes(data, path)):
        raise UsageError(
            "is a vmlinux without a PVH entry, which QEMU cannot start",
            where=path,
            remedy="build it with CONFIG_PVH=y, or give arch/x86/boot/bzImage of the same build",
        )
    return banner[1].decode(errors="replace")


def _unpacked(path: Path) -> bytes | None:
    """Return the ELF image of a vmlinux, or the one inside a bzImage. None if its compression is unknown here."""
    data = path.read_bytes()
    if data[:4] == b"\x7fELF":
        return data
    if data[0x202:0x206] != b"HdrS":
        raise RigError("is not an x86 bzImage", where=path)
    start = ((data[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    try:
        image = _decompressed(data[start + offset : start + offset + length])
    except (lzma.LZMAError, zlib.error, OSError) as error:
        raise RigError("its kernel cannot be unpacked", where=path) from error
    if image is not None and len(image) > LARGEST_KERNEL:
        raise RigError("its kernel is larger than a kernel can be", where=path, remedy="the file is damaged")
    return image


def _decompressed(payload: bytes) -> bytes | None:
    """Return the kernel in a bzImage, decompressed as its magic says (lib/decompress.c); None for an unknown magic.

    A kernel may be imported, and some kilobytes may expand to gigabytes: no more than LARGEST_KERNEL and a byte is
    returned.
    """
    most = LARGEST_KERNEL + 1
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(payload, most)
    if payload[:3] == b"\x5d\0\0":
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(payload, most)
    if payload[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(payload, most)
    if payload[:3] == b"BZh":
        return bz2.BZ2Decompressor().decompress(payload, most)
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        return _zstd(payload, most)
    if payload[:4] == b"\x02\x21\x4c\x18":
        return _lz4_legacy(payload, most)
    return payload if payload[:4] == b"\x7fELF" else None


def _zstd(payload: bytes, most: int) -> bytes:
    """Decompress zstd. Four bytes behind the frame give the unpacked size: zstd fails there, and has done its work."""
    with tempfile.TemporaryFile() as packed:
        packed.write(payload)
        packed.seek(0)
        command = [tool("zstd"), "-q", "-d", "-c"]
        with started_program(command, stdin=packed, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            return process.stdout.read(most)


def _lz4_legacy(payload: bytes, most: int) -> bytes:
    """Decompress LZ4's legacy format: blocks of 8 MiB, each after its length (lib/decompress_unlz4.c)."""
    try:
        from lz4.block import decompress
    except ImportError as error:
        raise lacking("lz4", "the kernel is compressed with it") from error
    image, at = b"", 4
    while at + 4 < len(payload) and len(image) < most:
        (size,) = struct.unpack_from("<I", payload, at)
        image += decompress(payload[at + 4 : at + 4 + size], uncompressed_size=8 << 20)
        at += 4 + size
    return image


def boot_build_id(path: Path) -> str:
    """Return the build id (hex) of the kernel in a bzImage or vmlinux.

    Raises RigError when it has none, or is compressed in a way that is not known here.
    """
    image = _unpacked(path)
    found = build_id(image, path) if image else None
    if found is None:
        raise RigError("the kernel has no build ID", where=path, remedy="build it with CONFIG_BUILD_SALT or --build-id")
    return found


def kernel_config(kernel: Kernel) -> str | None:
    """Return a kernel's configuration, or None where none can be had. A kernel in the cache has it beside the image."""
    # Unpacking an image takes a second.
    return config_beside(kernel) or boot_config(kernel.image)


def config_beside(kernel: Kernel) -> str | None:
    """Return a kernel's configuration from the file that the cache keeps beside it, or None where there is none."""
    beside = kernel.image.with_name("config")
    return beside.read_text(errors="replace") if beside.is_file() else None


def boot_config(path: Path) -> str | None:
    """Return the configuration of the kernel in a bzImage or vmlinux, or None where none can be had.

    It is embedded (CONFIG_IKCONFIG: gzip between two marks, kernel/configs.c), or lies beside the file as
    distributions and build directories have it.
    """
    near = [
        path.with_name(path.name.replace("vmlinuz", "config")),
        path.with_name("config"),
        path.with_name(".config"),
        *([path.parents[3] / ".config"] if path.parent.name == "boot" and len(path.parents) > 3 else []),
    ]
    try:
        image = _unpacked(path) or b""
    except RigError:
        image = b""
    at = image.find(b"IKCFG_ST\x1f\x8b")
    if at >= 0:
        try:
            return zlib.decompressobj(31).decompress(image[at + 8 :]).decode(errors="replace")
        except zlib.error:
            return None
    for file in near:
        if file != path and file.is_file() and "CONFIG_" in (text := file.read_text(errors="replace")):
            return text
    return None

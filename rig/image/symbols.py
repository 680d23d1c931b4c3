"""Kernel debug symbols: of a package only vmlinux is kept, and it is the kernel's own only if the build id says so."""

from __future__ import annotations

import bz2
import lzma
import mmap
import shutil
import struct
import subprocess
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError, WrongCall
from rig.image.apt import PrivateApt
from rig.image.elf import build_id, section_names
from rig.image.hosttools import disk_full, tool
from rig.image.kernel import Kernel, find_kernel
from rig.image.store import Store

__all__ = ["Symbols", "add_file", "add_package", "bzimage_build_id", "find_symbols"]

VMLINUX = "vmlinux"
KIND = "symbols"


@dataclass(frozen=True)
class Symbols:
    """A vmlinux with debug information. build_id: hex; source: the package or file that it came from."""

    vmlinux: Path
    build_id: str
    source: str


def _decompressed(payload: bytes) -> bytes | None:
    """The kernel in a bzImage, by the magic of its compression (lib/decompress.c); None for one not known here."""
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:3] == b"\x5d\0\0":
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(payload)
    if payload[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(payload)
    if payload[:3] == b"BZh":
        return bz2.BZ2Decompressor().decompress(payload)
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        # Four bytes behind the frame give the unpacked size; zstd calls them trailing garbage but has done its work.
        done = subprocess.run([tool("zstd"), "-q", "-d", "-c"], input=payload, capture_output=True, check=False)
        return done.stdout
    if payload[:4] == b"\x02\x21\x4c\x18":
        return _lz4_legacy(payload)
    return payload if payload[:4] == b"\x7fELF" else None


def _lz4_legacy(payload: bytes) -> bytes:
    """Blocks of 8 MiB, each behind its length, as lz4 -l writes them (lib/decompress_unlz4.c)."""
    try:
        from lz4.block import decompress
    except ImportError as error:
        raise RigError("the kernel is packed with lz4", where="bzImage", remedy="pip install 'rig[debug]'") from error
    image, at = b"", 4
    while at + 4 < len(payload):
        (size,) = struct.unpack_from("<I", payload, at)
        image += decompress(payload[at + 4 : at + 4 + size], uncompressed_size=8 << 20)
        at += 4 + size
    return image


def bzimage_build_id(path: Path) -> str:
    """Return the build id (hex) of the kernel in a bzImage (payload_offset of Documentation/arch/x86/boot.rst).

    Raises RigError when it has none, or is compressed in a way that is not known here.
    """
    data = path.read_bytes()
    if data[0x202:0x206] != b"HdrS":
        raise RigError("is no x86 bzImage", where=path)
    start = ((data[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    try:
        image = _decompressed(data[start + offset : start + offset + length])
    except (lzma.LZMAError, zlib.error, OSError) as error:
        raise RigError("its kernel cannot be unpacked", where=path) from error
    found = build_id(image, path) if image else None
    if found is None:
        raise RigError(
            "the kernel says no build id", where=path, remedy="build it with CONFIG_BUILD_SALT or --build-id"
        )
    return found


def find_symbols(store: Store, kernel: Path) -> Symbols | None:
    """Return the symbols of the kernel in that bzImage, or None."""
    entry = store.get(KIND, bzimage_build_id(kernel))
    if entry is None or not entry.file(VMLINUX).is_file():
        return None
    entry.touch()
    return Symbols(entry.file(VMLINUX), entry.key, str(entry.about.get("source", "")))


def add_package(store: Store, spec: str) -> Symbols:
    """Fetch the debug package of the kernel of that spelling and keep its vmlinux.

    Raises RigError where the mirror has none for this kernel, or it is another build's.
    """
    if not spec.startswith("debian:"):
        raise WrongCall(
            f"'{spec}' has no debug package", where="rig symbols add", remedy="as in debian:bookworm, or a vmlinux"
        )
    kernel = find_kernel(store, spec)
    wanted = bzimage_build_id(kernel.bzimage)
    if (found := find_symbols(store, kernel.bzimage)) is not None:
        return found
    with store.lock(f"symbols-{wanted[:16]}"), store.workplace() as work:
        if (found := find_symbols(store, kernel.bzimage)) is not None:
            return found
        apt = PrivateApt(work / "apt", spec.removeprefix("debian:"))
        apt.update()
        name = f"linux-image-{kernel.release}-dbg"
        package = apt.package(name)
        if package is None:
            raise RigError(
                f"the suite {apt.suite} has no package {name}",
                where=apt.mirror,
                remedy=f"the kernel here may be older than the mirror: rig kernel build {spec}, and run again",
            )
        deb = apt.download(name, work)
        result = work / "result"
        result.mkdir()
        _extract_vmlinux(deb, result / VMLINUX)
        deb.unlink()
        return _keep(store, result, wanted, kernel, f"{package.name} {package.version}")


def add_file(store: Store, vmlinux: Path, spec: str) -> Symbols:
    """Keep the user's own vmlinux for a kernel. Raises RigError when it is another build's."""
    if not vmlinux.is_file():
        raise WrongCall("there is no such file", where=vmlinux, remedy="name a vmlinux")
    kernel = find_kernel(store, spec)
    wanted = bzimage_build_id(kernel.bzimage)
    with store.workplace() as work:
        result = work / "result"
        result.mkdir()
        try:
            shutil.copyfile(vmlinux, result / VMLINUX)
        except OSError as error:
            raise disk_full(store.root) from error
        return _keep(store, result, wanted, kernel, str(vmlinux))


def _keep(store: Store, result: Path, wanted: str, kernel: Kernel, source: str) -> Symbols:
    with (result / VMLINUX).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found, sections = build_id(data, source), section_names(data, source)
    if found != wanted:
        raise RigError(
            f"these symbols are of another build: build id {found}, the kernel {kernel.release} has {wanted}",
            where=source,
            remedy="take the vmlinux of the same build",
        )
    # Compressed, it has the same name, or that of older tools.
    if not {".debug_info", ".zdebug_info"} & set(sections):
        raise RigError(
            "this vmlinux has no debug information",
            where=source,
            remedy="take the one that was not stripped, of a kernel built with CONFIG_DEBUG_INFO",
        )
    entry = store.add(KIND, wanted, result, {"source": source, "release": kernel.release, "spec": kernel.spec})
    return Symbols(entry.file(VMLINUX), wanted, source)


def _extract_vmlinux(deb: Path, target: Path) -> None:
    """Unpack the one file; the modules' symbols beside it are three times as large."""
    unpack = subprocess.Popen([tool("dpkg-deb"), "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    assert unpack.stdout is not None
    try:
        with unpack.stdout as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                if member.isreg() and Path(member.name).name.startswith("vmlinux"):
                    content = tar.extractfile(member)
                    assert content is not None
                    with target.open("wb") as file:
                        shutil.copyfileobj(content, file, 1 << 20)
                    return
    except OSError as error:
        raise disk_full(target.parent) from error
    finally:
        unpack.kill()
        unpack.wait()
    raise RigError("the package holds no vmlinux", where=deb.name)

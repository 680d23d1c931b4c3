# SPDX-License-Identifier: MIT
"""Kernel debug symbols. Only vmlinux is kept of a debug package, and only if its build id is the kernel's."""

from __future__ import annotations

import mmap
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from rig.disk import disk_full
from rig.errors import RigError, UsageError
from rig.image.apt import PrivateApt
from rig.image.bootfile import Kernel, boot_build_id
from rig.image.elf import build_id, section_names
from rig.image.hosttools import tool
from rig.image.kernel import find_kernel
from rig.image.programs import FETCH, STREAM, started_program
from rig.image.ref import KernelRef
from rig.image.store import Store

__all__ = ["Symbols", "add_file", "add_package", "find_symbols", "how_to_get"]

VMLINUX = "vmlinux"
KIND = "symbols"


@dataclass(frozen=True)
class Symbols:
    """A vmlinux with debug information.

    build_id: in hex.
    source: the package or file that it came from.
    """

    vmlinux: Path
    build_id: str
    source: str


def find_symbols(store: Store, kernel: Path) -> Symbols | None:
    """Return the cached symbols for the kernel in a bzImage or vmlinux, found by build id, or None."""
    entry = store.get(KIND, boot_build_id(kernel))
    if entry is None or not entry.file(VMLINUX).is_file():
        return None
    entry.touch()
    return Symbols(entry.file(VMLINUX), entry.key, str(entry.about.get("source", "")))


def how_to_get(spec: str) -> str:
    """Return the command with which the user gets the symbols of a kernel. spec: as for --kernel."""
    ref = KernelRef.parse(spec)
    if ref.kind == "debian":
        return f"rig symbols add {ref}"
    if ref.built_here:
        other = f"; or run again with --kernel {KernelRef('debian', ref.name)}" if ref.kind == "source" else ""
        return f"rig kernel build {ref} --debug-info, and run again: it makes another kernel{other}"
    return f"rig symbols add VMLINUX --kernel {spec or 'KERNEL'}"


def add_package(store: Store, spec: str) -> Symbols:
    """Fetch the debug package of a kernel, and store its vmlinux in the cache.

    spec: as for --kernel.
    Raises RigError when the mirror has no debug package for this kernel, or one of another build.
    """
    ref = KernelRef.parse(spec, "rig symbols add")
    if ref.kind != "debian":
        raise UsageError(
            f"'{spec}' has no debug package",
            where="rig symbols add",
            remedy=how_to_get(spec) if ref.built_here else "as in debian:bookworm, or a vmlinux",
        )
    kernel = find_kernel(store, spec)
    wanted = boot_build_id(kernel.image)
    if (found := find_symbols(store, kernel.image)) is not None:
        return found
    with store.lock(f"symbols-{wanted[:16]}", FETCH), store.staging_directory() as work:
        if (found := find_symbols(store, kernel.image)) is not None:
            return found
        apt = PrivateApt(work / "apt", ref.name)
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
    """Store the user's vmlinux for a kernel in the cache. Raises RigError when its build id is another build's."""
    if not vmlinux.is_file():
        raise UsageError("there is no such file", where=vmlinux, remedy="name a vmlinux")
    kernel = find_kernel(store, spec)
    wanted = boot_build_id(kernel.image)
    with store.staging_directory() as work:
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
    # Compressed debug information is in .debug_info too (SHF_COMPRESSED); older tools name the section .zdebug_info.
    if not {".debug_info", ".zdebug_info"} & set(sections):
        raise RigError(
            "this vmlinux has no debug information",
            where=source,
            remedy="take the one that was not stripped, of a kernel built with CONFIG_DEBUG_INFO",
        )
    entry = store.add(KIND, wanted, result, {"source": source, "release": kernel.release, "spec": kernel.spec})
    return Symbols(entry.file(VMLINUX), wanted, source)


def _extract_vmlinux(deb: Path, target: Path) -> None:
    """Unpack vmlinux alone from a package. The modules' symbols would be three times as large."""
    unpack: list[str | Path] = [tool("dpkg-deb"), "--fsys-tarfile", deb]
    try:
        with (
            started_program(unpack, stderr=subprocess.DEVNULL, deadline=STREAM) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as tar,
        ):
            for member in tar:
                if member.isreg() and Path(member.name).name.startswith("vmlinux"):
                    content = tar.extractfile(member)
                    assert content is not None
                    with target.open("wb") as file:
                        shutil.copyfileobj(content, file, 1 << 20)
                    return
    except OSError as error:
        raise disk_full(target.parent) from error
    raise RigError("the package contains no vmlinux", where=deb.name)

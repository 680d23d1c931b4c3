# SPDX-License-Identifier: MIT
"""Collect a host executable and the shared libraries that its dynamic loader finds for it.

The executable's own loader (PT_INTERP) lists the libraries: LD_TRACE_LOADED_OBJECTS for glibc, as ldd does, and --list
for musl. RPATH, RUNPATH, $ORIGIN, LD_LIBRARY_PATH and ld.so.cache therefore count as they do when the program starts.
No code of the executable runs.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from rig.errors import UsageError
from rig.image.programs import run_program

__all__ = ["PLACE", "SYSTEM_DIRECTORIES", "Executable", "closure_of", "read_executable"]

EM_X86_64 = 62
PT_INTERP = 3
# e_machine of elf.h -> the usual name of the architecture, for errors.
MACHINES = {3: "32-bit x86", 40: "32-bit ARM", 183: "arm64", 243: "RISC-V", 21: "64-bit PowerPC", 22: "s390"}
# A line of the listing: `libm.so.6 => /lib/libm.so.6 (0x…)`, `libx.so => not found`, or `/lib64/ld-linux… (0x…)`.
FOUND = re.compile(r"^\s*(?P<name>\S+)(?: => (?P<path>/\S.*?|not found))?(?: \(0x[0-9a-f]+\))?$")
SYSTEM_DIRECTORIES = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
"""The default library directories of glibc's loader on Debian. The guest has no ld.so.cache."""
# The guest's directory for links to libraries that the host has outside of SYSTEM_DIRECTORIES.
PLACE = "/usr/lib/x86_64-linux-gnu"
# All parts of glibc must come from one build. This layer's libc.so.6 hides that of the root below, so the root's own
# programs must find the other parts of the same build beside it.
GLIBC = ("libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libresolv.so.2", "libutil.so.1", "libgcc_s.so.1")


@dataclass(frozen=True)
class Executable:
    """The type of a file, from its header.

    kind: elf, script or other.
    interpreter: the loader of an ELF file (empty for a static one), or the text after #!.
    """

    kind: str
    interpreter: str


def read_executable(path: Path) -> Executable:
    """Return the type of a file. Raises UsageError for an ELF file that the guest cannot run."""
    with path.open("rb") as file:
        head = file.read(64)
        if head[:2] == b"#!":
            file.seek(2)
            return Executable("script", file.readline(255).decode(errors="replace").strip())
        if head[:4] != b"\x7fELF":
            return Executable("other", "")
        _check_machine(head, path)
        kind, headers, size, count = (
            struct.unpack_from(form, head, at)[0] for form, at in (("<H", 16), ("<Q", 32), ("<H", 54), ("<H", 56))
        )
        if kind not in (2, 3):  # ET_EXEC, ET_DYN
            raise UsageError(
                "is an ELF file that cannot be run: an object file or a core",
                where=path,
                remedy="name the program that was linked from it",
            )
        file.seek(headers)
        table = file.read(size * count)
        for at in range(0, len(table) - 55, size or 56):
            segment, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", table, at)
            if segment == PT_INTERP and length < 4096:
                file.seek(offset)
                return Executable("elf", file.read(length).rstrip(b"\0").decode(errors="replace"))
    return Executable("elf", "")


def _check_machine(head: bytes, path: Path) -> None:
    if len(head) < 64:
        raise UsageError("is an ELF file that is truncated in its header", where=path)
    machine = struct.unpack_from(">H" if head[5] == 2 else "<H", head, 18)[0]
    if head[4] != 2 or machine != EM_X86_64:
        raise UsageError(
            f"is for {MACHINES.get(machine, f'ELF machine {machine}')}, but the guest is x86-64",
            where=path,
            remedy="build it for x86-64",
        )


def closure_of(path: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the loader and libraries of an ELF executable, and the links by which the guest's loader finds them.

    Files: path in the guest -> file of the host.
    Links: path in the guest -> target of the link.
    Both are empty for a static executable.
    Raises UsageError where the loader is not on the host, and naming the libraries that it does not find.
    """
    loader = read_executable(path).interpreter
    if not loader:
        return {}, {}
    if not Path(loader).is_file():
        raise UsageError(
            f"its dynamic loader {loader} is not on this host",
            where=path,
            remedy="link it statically, or give a root that it was built for with --root",
        )
    done = run_program(
        [loader, *(["--list"] if "musl" in loader else []), path.resolve()],
        env={**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"},
    )
    found, missing = _parse(os.fsdecode(done.stdout))
    if missing or done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().removeprefix(f"{path.resolve()}: ")
        raise UsageError(
            f"the dynamic loader does not find {', '.join(missing)}" if missing else f"cannot be loaded: {words}",
            where=path,
            remedy="install the library, or name its directory in LD_LIBRARY_PATH",
            detail=words or None,
        )
    files, links = {loader: Path(loader)}, {}
    for name, library in found.items():
        files[str(library)] = library
        if str(library.parent) not in SYSTEM_DIRECTORIES and "/" not in name:
            links[f"{PLACE}/{name}"] = str(library)
        if name == "libc.so.6":
            beside = (library.with_name(part) for part in GLIBC)
            files |= {str(part): part for part in beside if part.is_file()}
    return files, links


def _parse(listing: str) -> tuple[dict[str, Path], list[str]]:
    """Return name -> path of the libraries that the loader found, and the names of those that it did not."""
    found: dict[str, Path] = {}
    missing: list[str] = []
    for line in listing.splitlines():
        match = FOUND.match(line)
        if match is None:
            continue
        name, where = match["name"], match["path"]
        if where == "not found":
            missing.append(name)
        elif where:
            found[name] = Path(where)
        elif name.startswith("/"):
            found[name] = Path(name)
    return found, missing

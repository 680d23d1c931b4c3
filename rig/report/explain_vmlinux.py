# SPDX-License-Identifier: MIT
"""Files and lines from a kernel's debug data, for `--vmlinux`: pyelftools over the DWARF line tables."""

from __future__ import annotations

import struct
from bisect import bisect_right
from pathlib import Path
from typing import Any

from rig.errors import RigError, UsageError
from rig.extras import lacking
from rig.klog.symbols import Place, Symbolizer

__all__ = ["open_vmlinux"]

_FUNCTION = 2  # STT_FUNC
# The kernel takes the next symbol's address as a function's end (kernel/kallsyms.c), so its size includes padding.
_PADDING = 64
_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym


def open_vmlinux(path: Path) -> Symbolizer:
    """Return a symbolizer for a vmlinux with debug data.

    Raises UsageError for a file that is not one, RigError when pyelftools is missing.
    """
    if not path.is_file():
        raise UsageError("there is no such vmlinux", where=path, remedy="give the file from the kernel's debug package")
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            raise UsageError("this is not an ELF file", where=path, remedy="give vmlinux, not bzImage or vmlinuz")
    try:
        return _Vmlinux(path)
    except ImportError as error:
        raise lacking("elftools", str(error)) from error


class _Vmlinux:
    def __init__(self, path: Path) -> None:
        from elftools.elf.elffile import ELFFile

        self._file = path.open("rb")
        elf: Any = ELFFile(self._file)
        if not elf.has_dwarf_info():
            raise RigError("the file has no debug data", where=path, remedy="give a vmlinux with debug data")
        # A vmlinux keeps its millions of relocations (--emit-relocs, for KASLR), which the linker has already applied.
        self._dwarf: Any = elf.get_dwarf_info(relocate_dwarf_sections=elf["e_type"] == "ET_REL")
        self._symbols = _functions(elf)
        self._ranges: Any = self._dwarf.get_aranges()
        self._units: dict[int, tuple[list[int], list[str]]] = {}

    def places(self, function: str, offset: int, size: int, module: str | None) -> list[Place]:
        """Return the places of function+offset. Empty for a module's function or a function of another size."""
        if module is not None or self._ranges is None:
            return []
        starts = [value for value, length in self._symbols.get(function, ()) if 0 <= size - length < _PADDING]
        if not starts:
            return []
        address = starts[0] + offset
        unit = self._ranges.cu_offset_at_addr(address)
        if unit is None:
            return []
        if unit not in self._units:
            self._units[unit] = self._lines(unit)
        addresses, places = self._units[unit]
        index = bisect_right(addresses, address) - 1
        return [(function, places[index])] if index >= 0 and places[index] else []

    def _lines(self, offset: int) -> tuple[list[int], list[str]]:
        program = self._dwarf.line_program_for_CU(self._dwarf.get_CU_at(offset))
        rows: list[tuple[int, str]] = []
        if program is not None:
            first = 0 if program["version"] >= 5 else 1  # files are counted from 0 since DWARF 5
            names = [_file_name(program, entry) for entry in program["file_entry"]]
            for entry in program.get_entries():
                state = entry.state
                if state is None:
                    continue
                index = state.file - first
                name = names[index] if 0 <= index < len(names) else "?"
                rows.append((state.address, "" if state.end_sequence else f"{name}:{state.line}"))
        rows.sort(key=lambda row: row[0])
        return [row[0] for row in rows], [row[1] for row in rows]


def _functions(elf: Any) -> dict[str, list[tuple[int, int]]]:
    """Return the functions by name: (address, size). pyelftools' own walk takes ten seconds for a kernel."""
    table: Any = elf.get_section_by_name(".symtab")
    found: dict[str, list[tuple[int, int]]] = {}
    if table is None or elf.elfclass != 64 or not elf.little_endian:
        return found
    names: bytes = table.stringtable.data()
    for name, info, _other, _section, value, size in _SYMBOL.iter_unpack(table.data()):
        if info & 15 == _FUNCTION:
            found.setdefault(names[name : names.index(b"\0", name)].decode(), []).append((value, size))
    return found


def _file_name(program: Any, entry: Any) -> str:
    name = str(entry.name.decode("utf-8", "replace"))
    directories = program["include_directory"]
    index = entry.dir_index if program["version"] >= 5 else entry.dir_index - 1
    if not 0 <= index < len(directories):
        return name
    directory = str(directories[index].decode("utf-8", "replace"))
    # Leave out the build directory, which differs from machine to machine: the path within the kernel tree counts.
    inner = directory.rsplit("/linux-", 1)[-1].partition("/")[2] if "/linux-" in directory else directory
    return f"{inner}/{name}" if inner else name

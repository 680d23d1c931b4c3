"""Files and lines from a kernel's debug data, for `--vmlinux`.

drgn reads it fast and knows inlined functions; where drgn is not installed, pyelftools walks the DWARF line tables.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from pathlib import Path
from typing import Any

from rig.errors import RigError, WrongCall
from rig.klog.symbols import Place, Symbolizer

__all__ = ["open_vmlinux"]

log = logging.getLogger(__name__)


def open_vmlinux(path: Path) -> Symbolizer:
    """Return a symbolizer over a vmlinux with debug data. Raises WrongCall, or RigError where nothing can read it."""
    if not path.is_file():
        raise WrongCall("there is no such vmlinux", where=path, remedy="give the file from the kernel's debug package")
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            raise WrongCall("this is no ELF file", where=path, remedy="give vmlinux, not bzImage or vmlinuz")
    try:
        return _Drgn(path)
    except ImportError:
        log.debug("drgn is not installed, or too old to tell source lines; trying pyelftools")
    try:
        return _ElfTools(path)
    except ImportError as error:
        raise RigError(
            "neither drgn nor pyelftools is installed", where=path, remedy="pip install 'rig[debug]'"
        ) from error


class _Drgn:
    def __init__(self, path: Path) -> None:
        import drgn

        self._program: Any = drgn.Program()
        if not hasattr(self._program, "source_location"):
            raise ImportError("drgn tells source lines since 0.0.31")
        self._lookup = drgn.LookupError if hasattr(drgn, "LookupError") else LookupError
        try:
            self._program.load_debug_info([str(path)])
        except Exception as error:  # drgn's own class differs between its versions
            raise RigError(
                f"the debug data cannot be read: {error}", where=path, remedy="give a vmlinux with debug data"
            ) from error

    def places(self, function: str, offset: int, size: int, module: str | None) -> list[Place]:
        """Return the places of function+offset; none for a module's function or one of another size."""
        if module is not None:
            return []
        try:
            symbols = [symbol for symbol in self._program.symbols(function) if symbol.size in (size, 0)]
        except LookupError:
            return []
        if not symbols:
            return []
        try:
            found = self._program.source_location(symbols[0].address + offset)
        except LookupError:
            return []
        return [(entry.name or function, f"{entry.filename}:{entry.line}") for entry in found]


class _ElfTools:
    def __init__(self, path: Path) -> None:
        from elftools.elf.elffile import ELFFile

        self._file = path.open("rb")
        self._elf: Any = ELFFile(self._file)
        if not self._elf.has_dwarf_info():
            raise RigError("the file has no debug data", where=path, remedy="give a vmlinux with debug data")
        self._dwarf: Any = self._elf.get_dwarf_info()
        self._symbols: dict[str, list[tuple[int, int]]] = {}
        table: Any = self._elf.get_section_by_name(".symtab")
        for symbol in () if table is None else table.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC":
                self._symbols.setdefault(symbol.name, []).append((symbol["st_value"], symbol["st_size"]))
        self._ranges: Any = self._dwarf.get_aranges()
        self._lines: dict[int, tuple[list[int], list[str]]] = {}

    def places(self, function: str, offset: int, size: int, module: str | None) -> list[Place]:
        """Return the place of function+offset, without inlined functions."""
        if module is not None or self._ranges is None:
            return []
        starts = [value for value, length in self._symbols.get(function, ()) if length in (size, 0)]
        if not starts:
            return []
        address = starts[0] + offset
        unit = self._ranges.cu_offset_at_addr(address)
        if unit is None:
            return []
        addresses, places = self._unit(unit)
        index = bisect_right(addresses, address) - 1
        return [(function, places[index])] if index >= 0 and places[index] else []

    def _unit(self, offset: int) -> tuple[list[int], list[str]]:
        if offset not in self._lines:
            unit = self._dwarf.get_CU_at(offset)
            program = self._dwarf.line_program_for_CU(unit)
            rows = []
            if program is not None:
                files = program["file_entry"]
                first = 0 if program["version"] >= 5 else 1
                for entry in program.get_entries():
                    state = entry.state
                    if state is None:
                        continue
                    index = state.file - first
                    name = files[index].name.decode() if 0 <= index < len(files) else "?"
                    rows.append((state.address, "" if state.end_sequence else f"{name}:{state.line}"))
            rows.sort(key=lambda row: row[0])
            self._lines[offset] = [row[0] for row in rows], [row[1] for row in rows]
        return self._lines[offset]

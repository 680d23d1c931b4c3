# SPDX-License-Identifier: MIT
"""Find the source of a scenario's program: C, Python, an executable, a Debian package or an image."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rig.assets import assets
from rig.errors import UsageError
from rig.scenario.suggestion import did_you_mean

if TYPE_CHECKING:
    from rig.scenario.schema import Program

__all__ = ["PROGRAM_DIRECTORY", "ProgramFile", "find_program"]

PROGRAM_DIRECTORY = "bin"
"""Directory of the payload that holds the programs, each by its name (and `.py` for Python)."""
PYTHON = "/usr/bin/python3"
FORMS = "a .c or .py file, ./PROGRAM, deb:PACKAGE[:PROGRAM] or root:IMAGE:/PATH"


@dataclass(frozen=True)
class ProgramFile:
    """A program of a plan.

    source: the file on the host; empty for `package` and `image`.
    language: `file` is an executable or script that is copied unchanged; `package` and `image` are in `made_from`.
    origin: `guest` for one of rig's own programs (guest/Makefile builds it), `scenario` for the scenario's.
    made_from: deb:PACKAGE or root:IMAGE, the layer that holds the program.
    executable: the path or name to start, for `package` and `image`.
    libs: libraries that a C program is linked with.
    more: further C files of the program.
    """

    name: str
    source: Path
    language: Literal["c", "python", "file", "package", "image"]
    origin: Literal["guest", "scenario"]
    made_from: str = ""
    executable: str = ""
    libs: tuple[str, ...] = ()
    more: tuple[Path, ...] = ()

    @property
    def payload_path(self) -> str:
        """Path of the program in the payload."""
        if self.language == "file":
            return f"{self.copies}/work/{self.source.name}"
        suffix = ".py" if self.language == "python" else ""
        return f"{PROGRAM_DIRECTORY}/{self.name}{suffix}"

    @property
    def copies(self) -> str:
        """The directory of the payload that is the uppermost layer of the root of a `file`."""
        return f"copy-{self.name}"

    @property
    def layers(self) -> tuple[str, ...]:
        """Overlayfs layers of the program's root, uppermost first; empty if it runs in the agent's root."""
        match self.language:
            case "file":
                return (f"{{payload}}/{self.copies}", "/")
            case "package":
                return (self.made_from, "/")
            case "image":
                return (self.made_from,)
            case _:
                return ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """Command line in the guest, before the arguments of the step."""
        match self.language:
            case "file":
                return (f"/work/{self.source.name}",)
            case "package" | "image":
                return (self.executable,)
            case "python":
                return (PYTHON, "{payload}/" + self.payload_path)
            case _:
                return ("{payload}/" + self.payload_path,)


def find_program(directory: Path, program: Program, source: str, where: str) -> ProgramFile:
    """Return the files that a program of a scenario is made from.

    source: the `source` key of the program, already rendered.
    where: the file and key, for error messages.
    Raises UsageError for a source that has none of the known forms, or that does not exist.
    """
    if source.startswith("deb:"):
        package, _, executable = source.removeprefix("deb:").partition(":")
        return _of_a_layer(program, "package", f"deb:{package}", executable or package, where)
    if source.startswith("root:"):
        image, _, executable = source.removeprefix("root:").partition(":")
        return _of_a_layer(program, "image", f"root:{image}", executable, where)
    own = (directory / source).resolve()
    if not own.is_relative_to(directory.resolve()):
        raise UsageError(
            f"the program's source '{source}' lies outside the scenario's directory",
            where=where,
            remedy="put it beside scenario.toml",
        )
    if own.suffix not in (".c", ".py") and own.is_file():
        return _file(program, own, where)
    path = _code(directory, source, where)
    return ProgramFile(
        name=program.name,
        source=path,
        language="python" if path.suffix == ".py" else "c",
        origin="scenario" if path.is_relative_to(directory.resolve()) else "guest",
        libs=program.libs,
        more=tuple(_code(directory, name, where) for name in program.files),
    )


def _of_a_layer(
    program: Program, language: Literal["package", "image"], made_from: str, executable: str, where: str
) -> ProgramFile:
    if made_from.endswith(":") or not executable:
        raise UsageError(f"the source '{program.source}' names no program", where=where, remedy=f"write {FORMS}")
    return ProgramFile(program.name, Path(), language, "scenario", made_from, executable)


def _file(program: Program, path: Path, where: str) -> ProgramFile:
    from rig.image.layer.closure import read_executable

    if read_executable(path).kind == "other" and not os.access(path, os.X_OK):
        raise UsageError(
            f"the program's source '{path.name}' is neither an executable nor a script with #!",
            where=where,
            remedy=f"give {FORMS}",
        )
    return ProgramFile(program.name, path, "file", "scenario")


def _code(directory: Path, source: str, where: str) -> Path:
    """Return a C or Python file: the one beside scenario.toml, else the one in guest/programs or guest/python.

    A name without a suffix is that of a C file, or of a directory of C files in guest/programs.
    """
    name = source if Path(source).suffix in (".c", ".py") else f"{source}.c"
    own = (directory / name).resolve()
    rooms = [assets("guest") / "programs", assets("guest") / "python"]
    for path in (own, *(room / name for room in rooms)):
        if path.is_file():
            return path
    several = rooms[0] / source
    if re.fullmatch(r"[\w-]+", source) and several.is_dir():
        return several
    there = [entry.name for room in (directory, *rooms) for entry in room.glob("*.[cp]*")]
    raise UsageError(
        f"the program's source '{source}' is missing",
        where=where,
        remedy=did_you_mean(name, there, kind="source"),
        detail=f"a source is {FORMS}",
    )

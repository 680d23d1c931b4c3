# SPDX-License-Identifier: MIT
"""Find the modules that a Python program imports and the Python of a guest's own root does not have.

That Python is python3-minimal, which has a quarter of the standard library.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from rig.image.daximage import list_directory

__all__ = ["MissingModule", "is_python_script", "missing_module", "read_source"]

SHEBANG = re.compile(r"#!\s*\S*?(?:/env\s+)?python3?(\.\d+)?\s")
LIBRARY = re.compile(r"python3\.\d+")
LARGEST_SCRIPT = 4 << 20
EXTENSIONS = frozenset(("mmap", "nis", "readline", "resource", "spwd", "termios"))
"""Modules in C that Debian has as files of libpython3-stdlib. Most others are part of its interpreter."""


@dataclass(frozen=True)
class MissingModule:
    """A module of the standard library that is not there, and the line that imports it."""

    name: str
    line: int


def read_source(path: Path) -> str:
    """Return the text of a program; an empty text for a file that is too long to be a script."""
    return path.read_text(errors="replace") if path.stat().st_size <= LARGEST_SCRIPT else ""


def is_python_script(source: str) -> bool:
    """Return whether a script names Python after its #!."""
    return SHEBANG.match(source) is not None


def missing_module(source: str, image: Path) -> MissingModule | None:
    """Return the first module that a program cannot do without and an image's Python lacks; None where there is none.

    Only statements of the program's top level count: any other import may never be reached, or be caught.
    Of the modules in C only EXTENSIONS are found missing: others may be part of the interpreter.

    source: the program's text. Nothing is found missing in a text that does not parse.
    image: of a root filesystem, with ext4.
    """
    try:
        imported = _imported(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError):
        return None
    wanted = {name: line for name, line in imported.items() if name in EXTENSIONS or _is_pure_library(name)}
    if not wanted:
        return None
    there = _library(image)
    return next((MissingModule(name, line) for name, line in wanted.items() if there and name not in there), None)


def _imported(program: ast.Module) -> dict[str, int]:
    found: dict[str, int] = {}
    for statement in program.body:
        names: list[str] = []
        if isinstance(statement, ast.Import):
            names = [each.name for each in statement.names]
        elif isinstance(statement, ast.ImportFrom) and not statement.level and statement.module:
            names = [statement.module]
        for name in names:
            found.setdefault(name.partition(".")[0], statement.lineno)
    return found


def _is_pure_library(name: str) -> bool:
    """Return whether a module of that name is part of Python's standard library, as a file of Python text."""
    library = Path(os.__file__).parent
    return name in sys.stdlib_module_names and (
        (library / f"{name}.py").is_file() or (library / name / "__init__.py").is_file()
    )


def _library(image: Path) -> set[str]:
    """Return the names of the modules and packages of an image's Python; none where it has no Python."""
    versions = [name for name in list_directory(image, "usr/lib") if LIBRARY.fullmatch(name)]
    found = set()
    for version in versions:
        names = list_directory(image, f"usr/lib/{version}")
        found |= {name.removesuffix(".py") for name in names if name.endswith(".py") or "." not in name}
        # lib-dynload has files such as mmap.cpython-311-x86_64-linux-gnu.so.
        found |= {name.partition(".")[0] for name in list_directory(image, f"usr/lib/{version}/lib-dynload")}
    return found

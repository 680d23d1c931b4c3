# SPDX-License-Identifier: MIT
"""Refuse a Python program whose modules the guest's own Python does not have, before a guest is started."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from rig.errors import UsageError
from rig.image.python_modules import is_python_script, missing_module, read_source
from rig.program.files import HostFiles
from rig.program.roots import Root

__all__ = ["refuse_missing_modules"]

PYTHON = re.compile(r"python3?(\.\d+)?")
LIBRARY = re.compile(r"libpython3(\.\d+)?-stdlib")
"""Debian's packages with the modules that python3-minimal leaves out."""
WITH_A_WORD = ("-W", "-X", "--check-hash-based-pycs")


def refuse_missing_modules(
    argv: tuple[str, ...],
    copies: HostFiles,
    root: Root,
    own_image: Callable[[], Path],
    guest_path: Callable[[str], str],
) -> None:
    """Raise UsageError for a Python program that imports what the Python of rig's own root does not have.

    own_image: returns the image of rig's own root.
    guest_path: the path in the payload of a path that an argument names.
    """
    if root.whole or any(LIBRARY.fullmatch(name) for layer in root.layers for name in layer.packages):
        return
    where, source = _program(argv, copies, guest_path)
    missing = missing_module(source, own_image()) if source else None
    if missing is not None and not _is_copied(missing.name, copies):
        raise UsageError(
            f"imports '{missing.name}' in line {missing.line}, which the guest's own Python, python3-minimal, lacks",
            where=where,
            remedy="--deb python3 brings the whole standard library",
        )


def _program(argv: tuple[str, ...], copies: HostFiles, guest_path: Callable[[str], str]) -> tuple[str, str]:
    """Return the name and the text of a Python program; empty texts for what is none, or not the host's."""
    if not argv:
        return "", ""
    if not PYTHON.fullmatch(PurePosixPath(argv[0]).name):
        text = _text(copies.files.get(guest_path(argv[0])))
        return (argv[0], text) if is_python_script(text) else ("", "")
    words = iter(argv[1:])
    for word in words:
        if word in WITH_A_WORD:
            next(words, "")
        elif word == "-c":
            return "python3 -c", next(words, "")
        elif word == "-m":
            name = next(words, "")
            return f"python3 -m {name}", f"import {name}"
        elif not word.startswith("-"):
            return word, _text(copies.files.get(guest_path(word)))
    return "", ""


def _is_copied(module: str, copies: HostFiles) -> bool:
    """Return whether a copied file may be the module."""
    return any(module in (*PurePosixPath(target).parts, PurePosixPath(target).stem) for target in copies.files)


def _text(path: Path | None) -> str:
    return read_source(path) if path is not None and path.is_file() else ""

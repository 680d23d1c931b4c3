# SPDX-License-Identifier: MIT
"""Collect the host's files for a program: its executable, its shared libraries, and the files of `--copy`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rig.errors import UsageError
from rig.image.layer.closure import closure_of, read_executable

__all__ = ["HostFiles", "collect_copies", "collect_executable"]

Place = Callable[[str], str]
"""Map a path of the guest to where it is stored in the root: with merged /usr, /lib is a link to usr/lib."""
MOST_COPIES = 100_000


@dataclass
class HostFiles:
    """Files of the host that are copied into a guest.

    files: path in the guest, without the leading slash -> file on the host.
    links: path in the guest, without the leading slash -> target of a symbolic link.
    """

    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Total size of the files, in bytes."""
        return sum(path.stat().st_size for path in self.files.values())


def collect_copies(copies: tuple[str, ...], cwd: str, place: Place) -> HostFiles:
    """Return the files of `--copy FILE[:PATH]`; a directory is copied recursively.

    cwd: directory of the guest that a relative PATH is below.
    Raises UsageError for a file that does not exist or cannot be read.
    """
    found = HostFiles()
    for text in copies:
        source, target = _split(text)
        path = Path(source).expanduser()
        if not path.exists():
            raise UsageError("there is no such file", where=f"--copy {text}", remedy="write --copy FILE or FILE:PATH")
        default = source if not path.is_absolute() and ".." not in Path(source).parts else path.name
        goal = PurePosixPath(cwd) / (target or default)
        if target.endswith("/"):
            goal /= path.name
        for each, below in _walk(path):
            _add(found, each, place(str(goal / below)), text)
    return found


def collect_executable(command: str, cwd: str, place: Place) -> tuple[HostFiles, str]:
    """Return a program of the host with its shared libraries, and its path in the guest.

    Raises UsageError for a file that is not executable, and for missing libraries.
    """
    path = Path(command)
    try:
        executable = read_executable(path)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=path, remedy="name a program") from None
    if executable.kind == "other" and not os.access(path, os.X_OK):
        raise UsageError(
            "is neither an executable nor a script with #!",
            where=path,
            remedy="name the interpreter: rig exec --copy FILE -- sh FILE",
        )
    inside = not path.is_absolute() and ".." not in path.parts
    name = command if inside or path.is_absolute() else f"./{path.name}"
    found = HostFiles()
    if executable.kind == "elf":
        files, links = closure_of(path)
        found.files |= {place(target): source for target, source in files.items()}
        found.links |= {place(target): to for target, to in links.items()}
    found.files[place(str(PurePosixPath(cwd) / name))] = path
    return found, name


def _split(text: str) -> tuple[str, str]:
    """Split FILE:PATH at the last colon, unless a file with the whole text as its name exists."""
    if ":" not in text or Path(text).expanduser().exists():
        return text, ""
    source, _, target = text.rpartition(":")
    return source, target


def _walk(path: Path) -> list[tuple[Path, str]]:
    if not path.is_dir():
        return [(path, "")]
    found = [(each, str(each.relative_to(path))) for each in sorted(path.rglob("*")) if each.is_file()]
    if len(found) > MOST_COPIES:
        raise UsageError(f"holds more than {MOST_COPIES} files", where=path, remedy="give it as a root: --root DIR")
    return found


def _add(found: HostFiles, source: Path, target: str, text: str) -> None:
    if not os.access(source, os.R_OK):
        raise UsageError("cannot be read", where=f"--copy {text}: {source}", remedy="check its permissions")
    found.files[target] = source

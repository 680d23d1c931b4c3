# SPDX-License-Identifier: MIT
"""Collect the host's files for a program: its executable, its shared libraries, and the files of `--copy`."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rig.errors import UsageError
from rig.image.layer.closure import closure_of, read_executable

__all__ = ["HostFiles", "collect_copies", "collect_executable"]

Place = Callable[[str], str]
"""Map a path of the guest to where it is stored in the root: with merged /usr, /lib is a link to usr/lib."""
MOST_COPIES = 100_000
INTERPRETERS = {".py": "python3", ".pl": "perl", ".rb": "ruby", ".js": "node"}
"""Suffix of a script -> its usual interpreter; sh for any other."""


@dataclass
class HostFiles:
    """Files of the host that are copied into a guest.

    files: path in the guest, without the leading slash -> file on the host.
    links: path in the guest, without the leading slash -> target of a symbolic link.
    modes: path in the guest, without the leading slash -> permission bits; a file that is not in it is a program.
    directories: paths in the guest of empty directories, without the leading slash.
    """

    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)

    def with_copies(self, copies: HostFiles) -> HostFiles:
        """Return these files and those; of two at one path the copied one."""
        return HostFiles(
            files={**self.files, **copies.files},
            links={**self.links, **copies.links},
            modes={**self.modes, **copies.modes},
            directories=[*self.directories, *copies.directories],
        )

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
        if path.is_dir():
            _add_tree(found, path, goal, place, text)
        else:
            _add(found, path, place(str(goal)), text)
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
    if executable.kind == "other":
        raise UsageError(
            "is neither an executable nor a script that begins with #!", where=path, remedy=_with_interpreter(path)
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


def _with_interpreter(path: Path) -> str:
    """Return how to run a script that does not name its interpreter."""
    interpreter = INTERPRETERS.get(path.suffix, "sh")
    return f"copy it and name its interpreter: rig exec --copy {path} -- {interpreter} {path.name}"


def _split(text: str) -> tuple[str, str]:
    """Split FILE:PATH at the last colon, unless a file with the whole text as its name exists."""
    if ":" not in text or Path(text).expanduser().exists():
        return text, ""
    source, _, target = text.rpartition(":")
    return source, target


def _add_tree(
    found: HostFiles, top: Path, goal: PurePosixPath, place: Place, text: str, within: frozenset[Path] = frozenset()
) -> None:
    """Add a directory.

    A relative symbolic link to a file of the same directory stays a link, as does one that leads nowhere or back to a
    directory that it is in. Of any other link the file or directory is copied.

    within: the directories that a link has led to on the way here.
    Raises UsageError for what cannot be read, and for more than MOST_COPIES files.
    """
    real = top.resolve()
    within |= {real}

    def refuse(error: OSError) -> None:
        raise UsageError(f"cannot be read: {error.strerror}", where=f"--copy {text}: {error.filename}") from error

    for directory, names, files in os.walk(top, onerror=refuse):
        here = Path(directory)
        below = goal / here.relative_to(top)
        if not names and not files:
            found.directories.append(place(str(below)))
        for name in sorted((*files, *(name for name in names if (here / name).is_symlink()))):
            each, target = here / name, place(str(below / name))
            if each.is_symlink() and _stays_a_link(each, real, within):
                found.links[target] = str(each.readlink())
            elif each.is_dir():
                _add_tree(found, each, below / name, place, text, within)
            elif each.is_file():
                _add(found, each, target, text)
        if len(found.files) + len(found.links) > MOST_COPIES:
            raise UsageError(f"holds more than {MOST_COPIES} files", where=top, remedy="give it as a root: --root DIR")


def _stays_a_link(link: Path, top: Path, within: frozenset[Path]) -> bool:
    """Return whether a symbolic link is copied as it is, and not what it leads to (see _add_tree)."""
    leads = Path(os.path.realpath(link))  # unlike Path.resolve() before Python 3.13, not an error in a circle of links
    inside = leads.is_relative_to(top) and not link.readlink().is_absolute()
    return inside or not link.exists() or leads in within or link.parent.resolve().is_relative_to(leads)


def _add(found: HostFiles, source: Path, target: str, text: str) -> None:
    if not os.access(source, os.R_OK):
        raise UsageError("cannot be read", where=f"--copy {text}: {source}", remedy="check its permissions")
    found.files[target] = source
    found.modes[target] = (source.stat().st_mode & 0o777) | stat.S_IRUSR

# SPDX-License-Identifier: MIT
"""Unpack untrusted tar archives: nothing is written outside of the target directory, and no device or pipe.

Python's extraction filters (PEP 706) need 3.11.4, and Debian 12 has 3.11.2. Members that the filters `data` and `tar`
refuse are refused here with every version of Python.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from rig.errors import RigError

__all__ = ["extract_files", "extract_tree"]

# The kernel follows at most 40 symbolic links in a path (path_resolution(7); MAXSYMLINKS, include/linux/namei.h).
MOST_LINKS = 40


def extract_files(archive: tarfile.TarFile, directory: Path) -> None:
    """Unpack an archive of regular files and directories. Links, devices and pipes are refused.

    Raises RigError, before anything is written, with the name of the member that is refused.
    """
    members = archive.getmembers()
    for member in members:
        if not (member.isreg() or member.isdir()):
            raise _refused(member, "it is neither a file nor a directory")
        # As the filter `data` does: make every file readable and writable for its owner.
        member.mode |= 0o700 if member.isdir() else 0o600
    _extract(archive, directory, members)


def extract_tree(archive: tarfile.TarFile, directory: Path, members: Iterable[tarfile.TarInfo]) -> None:
    """Unpack members of an archive, links among them, as the files of this user.

    A link may point anywhere, as those of a root filesystem do, but nothing is written through a link that leads out
    of the directory, and no hard link may name a file outside of it.
    Raises RigError, before anything is written, with the name of the member that is refused.
    """
    _extract(archive, directory, list(members))


def _extract(archive: tarfile.TarFile, directory: Path, members: list[tarfile.TarInfo]) -> None:
    _check(members)
    for member in members:
        member.mode &= 0o755
        member.uid, member.gid, member.uname, member.gname = os.geteuid(), os.getegid(), "", ""
    # The members were checked above. A Python with filters needs the argument, or 3.14 applies `data` by default; one
    # without filters does not accept it.
    options: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
    archive.extractall(directory, members, **options)


def _check(members: list[tarfile.TarInfo]) -> None:
    """Raise RigError for the first member that would be written, or link to what lies, outside of the directory."""
    links: dict[PurePosixPath, str] = {}
    for member in members:
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise _refused(member, "it is a device or a pipe")
        path = PurePosixPath(member.name)
        _resolve(member, path, links)
        if member.islnk():
            _resolve(member, PurePosixPath(member.linkname), links)
        if member.issym():
            links[_resolve(member, path.parent, links) / path.name] = member.linkname


def _resolve(member: tarfile.TarInfo, path: PurePosixPath, links: dict[PurePosixPath, str]) -> PurePosixPath:
    """Return the path after following the symbolic links of earlier members.

    Raises RigError if it is outside of the target directory.
    """
    if path.is_absolute():
        raise _refused(member, "its path is absolute")
    here, left, followed = PurePosixPath(), list(path.parts), 0
    while left:
        name = left.pop(0)
        if name == "..":
            if here == PurePosixPath():
                raise _refused(member, "its path leads out of the archive")
            here = here.parent
        elif (link := links.get(here / name)) is None:
            here /= name
        else:
            followed += 1
            if PurePosixPath(link).is_absolute() or followed > MOST_LINKS:
                raise _refused(member, f"its path goes through the link {here / name} -> {link}")
            left = [*PurePosixPath(link).parts, *left]
    return here


def _refused(member: tarfile.TarInfo, why: str) -> RigError:
    return RigError(f"the archive holds {member.name!r}, which is not unpacked: {why}", where="archive")

# SPDX-License-Identifier: MIT
"""Stage the members of archives in a directory, as files of this user, for the root filesystem of a guest.

The archives are untrusted: nothing is written outside of the directory, and the number and total size of files are
bounded. Symbolic links resolve as they will in the guest: an absolute one starts at the new root. Owners and modes that
an unprivileged user cannot set are recorded separately.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from rig.errors import RigError
from rig.image.daximage import Owner
from rig.image.layer.streams import Span

__all__ = ["LARGEST_ROOT", "MOST_FILES", "Staging"]

LARGEST_ROOT = 8 << 30
"""Bytes of files in one root."""
MOST_FILES = 500_000
MOST_LINKS = 40  # the kernel's own limit: MAXSYMLINKS of include/linux/namei.h, path_resolution(7)
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
"""Whiteouts of OCI image-spec, layer.md. `.wh.NAME` removes NAME of lower layers; `.wh..wh..opq` removes all that lower
layers have in its directory."""

Rename = Callable[[str], str | None]
"""Map a path in an archive to its path in the root, or to None to skip the member."""


@dataclass
class Staging:
    """A root filesystem being staged.

    root: the staging directory on the host.
    exceptions: path relative to `root` -> owner and mode, for files whose owner is not root or whose mode in the guest
    differs from the staged file's.
    """

    root: Path
    exceptions: dict[str, Owner] = field(default_factory=dict)
    _parents: dict[PurePosixPath, Path] = field(default_factory=dict)
    _bytes: int = 0
    _files: int = 0

    def apply(
        self,
        archive: tarfile.TarFile,
        *,
        whiteouts: bool = False,
        rename: Rename = lambda name: name,
    ) -> None:
        """Unpack an archive over the files staged so far.

        whiteouts: whether the archive is a layer whose whiteouts remove files of earlier layers.
        rename: maps a member's path to its path in the root, or to None to skip it.
        Raises RigError naming the member that cannot be unpacked.
        """
        # Paths of this archive. A whiteout hides lower layers only, wherever in the archive it stands (layer.md).
        mine: set[Path] = set()
        try:
            for member in archive:
                name = rename("/".join(part for part in member.name.split("/") if part not in ("", ".")))
                if not name or member.ischr() or member.isblk():
                    continue  # an unprivileged user cannot make device nodes; the guest mounts devtmpfs
                path = PurePosixPath(name)
                if whiteouts and path.name.startswith(WHITEOUT):
                    self._white_out(member, path, mine)
                else:
                    mine.add(self._add(archive, member, path, rename))
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise RigError(f"the archive is damaged: {error}", where="archive") from error

    def add_file(self, source: Path, target: str, mode: int | None = None) -> None:
        """Copy a file of the host to a path of the root; a symbolic link is followed."""
        with source.open("rb") as file:
            self._write(target, self._place(target, PurePosixPath(target.lstrip("/"))), file, source.stat().st_size)
        place = self._locate(target, PurePosixPath(target.lstrip("/")))
        place.chmod(stat.S_IMODE(source.stat().st_mode) if mode is None else mode)

    def add_directory(self, target: str) -> None:
        """Make a directory and those above it."""
        self._resolve(target, PurePosixPath(target.lstrip("/")))

    def add_link(self, target: str, to: str) -> None:
        """Make a symbolic link at `target` unless something is there."""
        place = self._locate(target, PurePosixPath(target.lstrip("/")))
        if not os.path.lexists(place):
            place.symlink_to(to)

    def finished(self) -> dict[str, Owner]:
        """Return the exceptions of the files that later archives have not removed."""
        return {path: owner for path, owner in self.exceptions.items() if os.path.lexists(self.root / path)}

    def _add(
        self,
        archive: tarfile.TarFile,
        member: tarfile.TarInfo,
        path: PurePosixPath,
        rename: Rename,
    ) -> Path:
        self._count(member.name, 0)
        if member.isdir():
            place = self._locate(member.name, path)
            if not place.is_dir() or place.is_symlink():
                self._remove(place)
                place.mkdir()
            self._own(place, member, stat.S_IFDIR)
            return place
        place = self._place(member.name, path)
        if member.issym():
            place.symlink_to(member.linkname)
            self._own(place, member, stat.S_IFLNK)
        elif member.islnk():
            target = PurePosixPath(rename(member.linkname.lstrip("/")) or member.linkname)
            try:
                os.link(self._locate(member.name, target), place, follow_symlinks=False)
            except OSError as error:
                raise _refused(member.name, f"it is a hard link to {member.linkname!r}: {error.strerror}") from None
        elif member.isfifo():
            os.mkfifo(place)
            self._own(place, member, stat.S_IFIFO)
        elif member.isreg():
            self._extract(archive, member, place)
            self._own(place, member, stat.S_IFREG)
        else:
            raise _refused(member.name, "it is of an unknown type")
        return place

    def _extract(self, archive: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
        if isinstance(archive.fileobj, Span) and not member.issparse():
            self._count(member.name, member.size)
            with place.open("xb") as file:
                archive.fileobj.send(member.offset_data, member.size, file)
            return
        stream = archive.extractfile(member)
        assert stream is not None
        self._write(member.name, place, stream, member.size)

    def _write(self, name: str, place: Path, stream: IO[bytes], size: int) -> None:
        self._count(name, size)
        with place.open("xb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)

    def _count(self, name: str, size: int) -> None:
        self._bytes += size
        self._files += 1
        if self._bytes > LARGEST_ROOT or self._files > MOST_FILES:
            raise RigError(
                f"the root filesystem is larger than {LARGEST_ROOT >> 30} GB or {MOST_FILES} files",
                where=name,
                remedy="leave out what the program does not need",
            )

    def _own(self, place: Path, member: tarfile.TarInfo, kind: int) -> None:
        mode = member.mode & 0o7777
        # This user must be able to read the staged file, and to write into the staged directory.
        staged = mode | (0o700 if kind == stat.S_IFDIR else 0o400)
        if kind != stat.S_IFLNK:
            place.chmod(staged)
        else:
            mode = staged = 0o777
        if member.uid or member.gid or staged != mode:
            self.exceptions[str(place.relative_to(self.root))] = Owner(member.uid, member.gid, kind | mode)
        else:
            self.exceptions.pop(str(place.relative_to(self.root)), None)

    def _white_out(self, member: tarfile.TarInfo, path: PurePosixPath, mine: set[Path]) -> None:
        if path.name == OPAQUE:
            directory = self._locate(member.name, path.parent)
            gone = [each for each in directory.iterdir() if each not in mine] if directory.is_dir() else []
        else:
            gone = [self._locate(member.name, path.parent / path.name.removeprefix(WHITEOUT))]
        for each in gone:
            if each not in mine:
                self._remove(each)

    def _place(self, name: str, path: PurePosixPath) -> Path:
        """Return the host path at which to write a file, after removing what is there."""
        place = self._locate(name, path)
        if os.path.lexists(place):
            self._remove(place)
        return place

    def _remove(self, place: Path) -> None:
        # The cached directories may lie below the one that is removed, or behind the removed symbolic link.
        self._parents.clear()
        if place == self.root:
            raise _refused("/", "it is not a directory")
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)

    def _locate(self, name: str, path: PurePosixPath) -> Path:
        """Return the host path of a path in the root.

        Symbolic links in its directories are followed inside the root. A link in the last component is not followed.
        """
        if not path.parts:
            return self.root
        if path.name == "..":
            raise _refused(name, "its path leads out of the archive")
        parent = self._parents.get(path.parent)
        if parent is None:
            parent = self._parents[path.parent] = self._resolve(name, path.parent)
        return parent / path.name

    def _resolve(self, name: str, path: PurePosixPath) -> Path:
        """Return the host directory of a path, with missing directories created."""
        here, left, followed = self.root, [part for part in path.parts if part != "/"], 0
        while left:
            part = left.pop(0)
            if part == "..":
                # `..` of the root is the root itself, as in a chroot.
                here = here if here == self.root else here.parent
                continue
            place = here / part
            if place.is_symlink():
                followed += 1
                if followed > MOST_LINKS:
                    raise _refused(name, "its path goes through too many links")
                link = PurePosixPath(place.readlink())
                here = self.root if link.is_absolute() else here
                left = [*(each for each in link.parts if each != "/"), *left]
                continue
            if not place.exists():
                self._count(name, 0)
                place.mkdir()
            elif not place.is_dir():
                raise _refused(name, f"'{place.relative_to(self.root)}' is not a directory")
            here = place
        return here


def _refused(name: str, why: str) -> RigError:
    return RigError(f"the archive holds {name!r}, which is not unpacked: {why}", where="archive")

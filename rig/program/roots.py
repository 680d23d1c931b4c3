# SPDX-License-Identifier: MIT
"""Assemble the root filesystem of a program from layers.

From the top: copied files, Debian packages, a directory or an image, and rig's own root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rig.errors import UsageError
from rig.image.daximage import Owner
from rig.image.digest import digest_once, digest_text
from rig.image.layer.archive import fill_from_archive, is_layout
from rig.image.layer.layer import LayerImage, build_layer, find_layer, layer_key
from rig.image.layer.packages import package_layer
from rig.image.layer.staging import LARGEST_ROOT, MOST_FILES, Staging
from rig.image.rootfs import merged_path
from rig.image.store import Store
from rig.program.files import HostFiles

__all__ = ["Root", "copies_layer", "find_root", "root_layer"]

USERS = {"root": (0, 0), "nobody": (65534, 65534)}


@dataclass(frozen=True)
class Root:
    """The layers of a program's root.

    layers: uppermost first. rig's own root is below them, unless one of them is a whole root filesystem.
    """

    layers: tuple[LayerImage, ...] = ()

    @property
    def whole(self) -> bool:
        return any(layer.whole for layer in self.layers)

    def place(self, path: str) -> str:
        """Return the path in a layer for a path of the guest, without the leading slash.

        A directory in an upper layer would hide a link of the same name below it, such as /lib with merged /usr, so
        the path goes through the target of the link.
        """
        clean = str(PurePosixPath("/") / path).lstrip("/")
        if not self.whole:
            return merged_path(clean)
        first, slash, rest = clean.partition("/")
        for layer in self.layers:
            if first in layer.links:
                return layer.links[first].strip("/") + slash + rest
        return clean

    def user(self, name: str) -> tuple[int, int]:
        """Return uid and gid of NAME, UID, NAME:GID or UID:GID. Raises UsageError for an unknown or invalid user."""
        user, _, group = name.partition(":")
        known = dict(USERS)
        for layer in reversed(self.layers):
            known |= layer.users
        uid, gid = (int(user), int(user)) if user.isdecimal() else known.get(user, (-1, -1))
        if group.isdecimal():
            gid = int(group)
        if uid < 0 or gid < 0 or uid > 0x7FFFFFFF or gid > 0x7FFFFFFF:
            raise UsageError(
                f"the root has no user '{name}'", where="--user", remedy=f"one of {', '.join(sorted(known))}, or a UID"
            )
        return uid, gid


def find_root(
    store: Store, packages: Sequence[str], root: str | None, tell: Callable[[str], None] = lambda line: None
) -> Root:
    """Return the layers of these packages and this root, from the cache or newly built.

    tell: called with a line for the user before a layer is built.
    """
    layers = [package_layer(store, packages, tell)] if packages else []
    if root is not None:
        layers.append(root_layer(store, root, tell))
    return Root(tuple(layers))


def root_layer(store: Store, root: str, tell: Callable[[str], None] = lambda line: None) -> LayerImage:
    """Return the layer of a directory, a tar archive, a Docker archive, or an OCI archive or layout.

    tell: called with a line for the user before the layer is built.
    Raises UsageError for a path that does not exist or is none of these.
    """
    path = Path(root).expanduser()
    if path.is_dir() and not is_layout(path):
        return _directory(store, path.resolve(), tell)
    if not path.exists():
        raise UsageError("there is no such file", where=root, remedy="give a directory, a tar, or an image's archive")
    # Hashing a large archive takes seconds, so its digest is cached under its path, size, mtime and inode.
    identity = _listing(path) if path.is_dir() else _stamp(store, path)
    key = layer_key("archive", identity)
    if (found := find_layer(store, key)) is not None:
        return found
    tell(f"import {root}")
    return build_layer(store, key, path.name, lambda staging: fill_from_archive(staging, path))


def _stamp(store: Store, path: Path) -> str:
    """Return the digest of a file's content, cached under the file's path, size, mtime and inode."""
    status = path.stat()
    look = digest_text(str(path.resolve()), str(status.st_size), str(status.st_mtime_ns), str(status.st_ino))
    name = f"archive/{look[:32]}"
    known = store.ref(name)
    if known is None:
        known = digest_once(path)
        with store.writing():
            store.set_ref(name, known)
    return known


def _directory(store: Store, directory: Path, tell: Callable[[str], None]) -> LayerImage:
    if directory == Path("/"):
        raise UsageError(
            "the host's own root cannot be a guest's root", where="--root /", remedy="name a directory, or use --copy"
        )
    key = layer_key("directory", _listing(directory))
    found = find_layer(store, key)
    if found is not None:
        return found
    tell(f"import {directory}")
    return build_layer(store, key, str(directory), tree=directory, exceptions=_owners(directory))


def _entries(directory: Path) -> list[tuple[str, os.stat_result]]:
    found, size = [], 0
    for path in [directory, *directory.rglob("*")]:
        status = path.lstat()
        size += status.st_size if stat.S_ISREG(status.st_mode) else 0
        found.append((str(path.relative_to(directory)), status))
        if len(found) > MOST_FILES or size > LARGEST_ROOT:
            raise UsageError(
                f"is larger than {LARGEST_ROOT >> 30} GB or {MOST_FILES} files",
                where=directory,
                remedy="leave out what the program does not need",
            )
    return found


def _listing(directory: Path) -> str:
    """Return a digest of a directory's names, sizes, modes, owners and mtimes, as a fast substitute for its content."""
    return digest_text(
        str(directory.resolve()),
        *(
            f"{name}\0{s.st_size}\0{s.st_mode}\0{s.st_uid}\0{s.st_gid}\0{s.st_mtime_ns}\0{s.st_ino}"
            for name, s in sorted(_entries(directory), key=lambda entry: entry[0])
        ),
    )


def _owners(directory: Path) -> dict[str, Owner]:
    """Return owner and mode of each file that is not to belong to root in the guest.

    Files of the user who runs rig belong to root there, since an ordinary user cannot create files of root.
    """
    me = os.geteuid()
    return {
        name: Owner(status.st_uid, status.st_gid, status.st_mode)
        for name, status in _entries(directory)
        if name != "." and status.st_uid not in (0, me)
    }


def copies_layer(store: Store, copies: HostFiles) -> LayerImage:
    """Return a layer with copied files that are too large for the payload."""
    files = sorted(copies.files.items())
    key = layer_key(
        "copies", *(f"{target}\0{digest_once(source)}\0{copies.modes.get(target, 0o755)}" for target, source in files),
        *(f"{target}\0{to}" for target, to in sorted(copies.links.items())),
        *(f"{each}\0" for each in sorted(copies.directories)),
    )  # fmt: skip

    def fill(staging: Staging) -> Mapping[str, Any]:
        for target in copies.directories:
            staging.add_directory(target)
        for target, source in files:
            staging.add_file(source, target, copies.modes.get(target, 0o755))
        for target, to in copies.links.items():
            staging.add_link(target, to)
        return {}

    return find_layer(store, key) or build_layer(store, key, f"{len(files)} copied files", fill, whole=False)

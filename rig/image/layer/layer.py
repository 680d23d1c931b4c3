# SPDX-License-Identifier: MIT
"""Layers in the cache: one filesystem image each, under a key that is a digest of what it was made from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.errors import UsageError
from rig.image.daximage import Owner, write_ext4
from rig.image.digest import digest_text
from rig.image.entry import Entry
from rig.image.layer.config import ImageConfig, config_from
from rig.image.layer.staging import Staging
from rig.image.programs import FETCH
from rig.image.store import Store

__all__ = [
    "SIZES", "LayerImage", "build_layer", "check_name", "find_layer", "forget_name", "layer_key", "name_layer",
    "named_layer", "names_layer",
]  # fmt: skip

IMAGE = "layer.img"
LAYOUT = "1"  # part of the cache key; raise it when the layout of layers changes
MIB = 1 << 20
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
TAKEN = ("quick", "buildroot")
SIZES = tuple(size * MIB for power in range(5, 14) for size in (1 << power, 3 << (power - 1)))
"""Image sizes: 32M, 48M, 64M, 96M, … 12G. They are coarse, because guests share a snapshot if layer sizes match."""


@dataclass(frozen=True)
class LayerImage:
    """A layer for a guest's root filesystem.

    key: its key in the cache.
    label: the volume label in its superblock, by which the agent finds it.
    image: path of the ext4 image on the host.
    digest: the image's SHA-256.
    size: of the image, in bytes.
    source: what it was made from, as the user wrote it.
    packages: name -> version of the Debian packages in it.
    config: how the program of a container image is started.
    users: name -> (uid, gid), from its etc/passwd.
    whole: True for a complete root, False for a layer over rig's own root.
    links: the symbolic links in its top directory, such as lib -> usr/lib.
    """

    key: str
    label: str
    image: Path
    digest: str
    size: int
    source: str
    packages: Mapping[str, str]
    config: ImageConfig
    users: Mapping[str, tuple[int, int]]
    whole: bool
    links: Mapping[str, str]


def layer_key(*identity: str) -> str:
    """Return the cache key of a layer made from the inputs that these texts identify."""
    return digest_text(LAYOUT, *identity)


def find_layer(store: Store, key: str) -> LayerImage | None:
    """Return the layer of that key, or None. Its files are checked against their hashes."""
    entry = store.get_verified("layer", key)
    return None if entry is None else _from_entry(entry)


def check_name(name: str) -> None:
    """Raise UsageError for what cannot be an image's name."""
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' is not a name for an image", remedy="lower-case letters, digits, - and _")
    if name in TAKEN:
        raise UsageError(f"'{name}' is one of rig's own images", remedy="choose another name")


def name_layer(store: Store, name: str, layer: LayerImage) -> None:
    """Point a user's name at a layer. Raises UsageError for a malformed or reserved name."""
    check_name(name)
    with store.writing():
        store.set_ref(f"layer/{name}", layer.key)


def forget_name(store: Store, name: str) -> None:
    """Remove a user's name of a layer. The layer itself stays."""
    with store.writing():
        store.remove_ref(f"layer/{name}")


def names_layer(store: Store, name: str) -> bool:
    """Return whether a name stands for a layer."""
    return NAME.fullmatch(name) is not None and store.ref(f"layer/{name}") is not None


def named_layer(store: Store, name: str) -> LayerImage:
    """Return the layer that a name stands for. Raises UsageError where there is none."""
    key = store.ref(f"layer/{name}") if NAME.fullmatch(name) else None
    found = find_layer(store, key) if key is not None else None
    if found is None:
        raise UsageError(
            f"there is no image '{name}' here",
            remedy=f"rig image import {name} DIR|TAR|ARCHIVE, or rig image build {name} --deb PACKAGE",
        )
    return found


def build_layer(
    store: Store,
    key: str,
    source: str,
    fill: Callable[[Staging], Mapping[str, Any]] | None = None,
    *,
    tree: Path | None = None,
    exceptions: Mapping[str, Owner] | None = None,
    whole: bool = True,
) -> LayerImage:
    """Build the layer of that key, unless the cache has it, and return it.

    source: what it is made from, as the user wrote it.
    fill: stages the files, and returns facts for the manifest: packages, config.
    tree: in place of fill, a directory of the host that is copied unchanged.
    exceptions: owners and modes that differ from those of the files in tree.
    whole: True for a complete root, False for a layer over rig's own root.
    Raises RigError for too many files or too many bytes.
    """
    with store.lock(f"layer-{key[:16]}", FETCH), store.staging_directory() as work:
        # Another rig may have built it while this one waited for the lock.
        if (entry := store.get("layer", key)) is not None:
            return _from_entry(entry)
        result = work / "result"
        result.mkdir()
        about: dict[str, Any] = {"source": source, "label": _label(key), "whole": whole, "spec": source}
        if tree is None:
            assert fill is not None
            tree = work / "tree"
            tree.mkdir(mode=0o755)
            staging = Staging(tree)
            about |= fill(staging)
            exceptions = staging.finished()
        about["users"] = _users(tree)
        about["links"] = {path.name: str(path.readlink()) for path in tree.iterdir() if path.is_symlink()}
        image = result / IMAGE
        write_ext4(tree, image, sizes=SIZES, label=_label(key), exceptions=exceptions)
        about["size"] = image.stat().st_size
        return _from_entry(store.add("layer", key, result, about))


def _label(key: str) -> str:
    return f"rig:{key[:12]}"


def _users(tree: Path) -> dict[str, tuple[int, int]]:
    """Return name -> (uid, gid) of etc/passwd, so that --user can name one."""
    passwd = tree / "etc/passwd"
    users = {}
    if passwd.is_file() and not passwd.is_symlink() and passwd.stat().st_size < MIB:
        for line in passwd.read_text(errors="replace").splitlines():
            fields = line.split(":")
            if len(fields) >= 4 and fields[2].isdecimal() and fields[3].isdecimal():
                users[fields[0]] = (int(fields[2]), int(fields[3]))
    return users


def _from_entry(entry: Entry) -> LayerImage:
    about = entry.about
    return LayerImage(
        key=entry.key,
        label=about["label"],
        image=entry.file(IMAGE),
        digest=entry.files[IMAGE],
        size=about["size"],
        source=about["source"],
        packages=about.get("packages", {}),
        config=config_from(about.get("config", {})),
        users={name: (uid, gid) for name, (uid, gid) in about.get("users", {}).items()},
        whole=about["whole"],
        links=about.get("links", {}),
    )

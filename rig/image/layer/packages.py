# SPDX-License-Identifier: MIT
"""Build a layer over rig's own root from Debian packages and their dependencies.

Packages are extracted, not configured: no maintainer script runs, so the build needs neither root nor a chroot. The
layer therefore lacks the users and the update-alternatives links that such scripts create.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rig.errors import RigError, UsageError
from rig.image.apt import host_suite
from rig.image.digest import digest_text
from rig.image.layer.layer import LayerImage, build_layer, find_layer, layer_key
from rig.image.layer.staging import Staging
from rig.image.layer.streams import Span, open_tar
from rig.image.mmdebstrap import HOST_FILES, extract_packages
from rig.image.rootfs import merged_path
from rig.image.store import Store

__all__ = ["package_layer"]

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[\w.+:~-]+)?")
LAYOUT = "3"  # part of the cache key; raise it when other files of the packages are taken
ESSENTIAL = ("libc-bin",)
"""Packages that others need without saying so. libc-bin has the locale C.UTF-8, which is LANG in a guest."""
OFF_PATH = ("usr/lib/jvm/*/bin/*", "usr/lib/postgresql/*/bin/*", "usr/lib/llvm-*/bin/*")
"""Commands that update-alternatives(1) or a wrapper finds where a package is configured: java, initdb, clang."""
# Files that no program in a guest needs, and those of dpkg and apt that would hide the root's own.
LEFT_OUT = (
    "usr/share/doc/*", "usr/share/man/*", "usr/share/info/*", "usr/share/lintian/*", "usr/share/locale/*",
    "usr/share/bug/*", "var/cache/apt/*", "var/lib/apt/*", "var/lib/dpkg/*", "var/log/*", "dev/*", "etc/apt/*",
    "tmp/*",
)  # fmt: skip


def package_layer(store: Store, packages: Sequence[str], tell: Callable[[str], None] = lambda line: None) -> LayerImage:
    """Return the layer of these packages of the host's suite, fetched if the cache does not have it.

    packages: names, each with an optional =VERSION.
    tell: called with a line for the user before packages are fetched, which takes half a minute or more.
    Raises UsageError for a malformed name and for one that the suite does not have.
    Raises RigError where mmdebstrap fails otherwise.
    """
    for name in packages:
        if not NAME.fullmatch(name):
            raise UsageError(f"'{name}' is not a package's name", where="--deb", remedy="write it as in redis-server")
    suite = host_suite()
    key = layer_key("deb", LAYOUT, suite, *sorted({*ESSENTIAL, *packages}))
    if (found := find_layer(store, key)) is not None:
        return found
    tell(f"fetch {', '.join(packages)} from {suite}, with what they depend on")
    return build_layer(
        store,
        key,
        f"deb:{','.join(packages)} ({suite})",
        lambda staging: _fill(store, staging, suite, packages),
        whole=False,
    )


def _fill(store: Store, staging: Staging, suite: str, packages: Sequence[str]) -> Mapping[str, Any]:
    with store.staging_directory() as work:
        tar = work / "packages.tar"
        try:
            versions = extract_packages(
                [*ESSENTIAL, *packages], suite, tar, work, what=f"fetching {', '.join(packages)} from {suite}"
            )
        except RigError as error:
            missing = re.findall(r"Unable to locate package (\S+)", error.detail or "")
            if not missing:
                raise
            raise UsageError(
                f"{suite} has no package {', '.join(missing)}",
                where="--deb",
                remedy=f"look for its name: apt-cache search {missing[0]}",
            ) from None
        with tar.open("rb") as file, open_tar(Span(file)) as archive:
            staging.apply(archive, rename=_rename)
        _link_commands(staging)
        return {"packages": versions, "suite": suite, "key": digest_text(*packages)}


def _link_commands(staging: Staging) -> None:
    """Link commands into /usr/bin that Debian's scripts would have put on PATH, where no other file has the name."""
    root, found = staging.root.resolve(), dict[str, list[Path]]()
    for pattern in OFF_PATH:
        for path in sorted(root.glob(pattern)):
            # Not the same file again through a link to its directory, and nothing through one that leads elsewhere.
            if path.is_file() and path.resolve() == path and os.access(path, os.X_OK):
                found.setdefault(path.name, []).append(path)
    for name, paths in found.items():
        if len(paths) == 1:
            staging.add_link(f"usr/bin/{name}", f"/{paths[0].relative_to(root)}")


def _rename(name: str) -> str | None:
    name = merged_path(name)
    # /usr is merged (/bin is a link to usr/bin): rig's own root below this layer already has these links, and /dev.
    if name in (*HOST_FILES, "bin", "sbin", "lib", "lib64", "dev") or any(
        fnmatchcase(name, pattern) for pattern in LEFT_OUT
    ):
        return None
    return name

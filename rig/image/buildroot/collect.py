# SPDX-License-Identifier: MIT
"""Add the results of a Buildroot build to the cache: kernel, root filesystem, agent and programs."""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.errors import RigError
from rig.image.bootfile import BZIMAGE, VMLINUX, kernel_release
from rig.image.buildroot.defconfig import fragment_files
from rig.image.buildroot.make import Make
from rig.image.buildroot.recipe import BuildrootRecipe
from rig.image.buildroot.tree import Buildroot
from rig.image.builtkernel import keep_symbols, lay_out_kernel
from rig.image.daximage import write_ext4
from rig.image.digest import digest_file, digest_text
from rig.image.entry import Entry
from rig.image.fragments import check_met, read_fragment
from rig.image.guestcode import sources_digest
from rig.image.kconfig import read_config
from rig.image.kernel import buildroot_ref
from rig.image.rootfs import BUILDROOT_LAYOUT, GUEST_DIRECTORY, IMAGE, image_ref
from rig.image.store import Store
from rig.untar import extract_tree

__all__ = ["Collected", "collect", "collect_kernel"]


@dataclass(frozen=True)
class Collected:
    """The cache entries of one build. seconds: the build's duration on the host."""

    kernel: Entry
    rootfs: Entry
    seconds: float


def collect(store: Store, make: Make, recipe: BuildrootRecipe, buildroot: Buildroot, *, seconds: float) -> Collected:
    """Add the results in Buildroot's output directory to the cache: kernel, root filesystem, agent and programs.

    seconds: the build's duration, for the manifest.
    Raises RigError where a line of the kernel fragments is not in force.
    Raises RigError where the output lacks a file that a guest needs.
    """
    images = make.output / "images"
    for name in ("rootfs.tar", f"{GUEST_DIRECTORY}/rig-agent"):
        if not (images / name).is_file():
            raise RigError(f"Buildroot left no {name}", where=images, remedy=f"see {make.log}")
    info = json.loads(make.answer("show-info"))
    kernel = collect_kernel(store, make, recipe)
    with store.staging_directory() as work:
        _unpack(images / "rootfs.tar", work / "tree")
        result = _result(work)
        write_ext4(work / "tree", result / IMAGE)
        shutil.copytree(images / GUEST_DIRECTORY, result / GUEST_DIRECTORY)
        programs = sorted((result / GUEST_DIRECTORY).rglob("*"))
        digests = [digest_file(path) for path in programs if path.is_file()]
        about = {
            "spec": recipe.image,
            "buildroot": buildroot.version,
            "kernel": kernel.about["spec"],
            "guest": sources_digest(),
            "packages": _packages(info),
            "seconds": round(seconds, 1),
        }
        key = digest_text(digest_file(result / IMAGE), kernel.key, BUILDROOT_LAYOUT, *digests)
        rootfs = store.add("rootfs", key, result, about)
    store.set_ref(image_ref(recipe.image), rootfs.key)
    return Collected(kernel, rootfs, seconds)


def _packages(info: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return name -> version of the packages in the guest, from Buildroot's `make show-info`."""
    return {
        name: about.get("version", "")
        for name, about in sorted(info.items())
        if about.get("type") == "target" and not about.get("virtual") and about.get("version")
    }


def collect_kernel(store: Store, make: Make, recipe: BuildrootRecipe) -> Entry:
    """Add Buildroot's kernel to the cache: bzImage, vmlinux and configuration, and its debug information as symbols.

    Raises RigError naming each line of the fragments that is not in force.
    """
    source = "custom" if recipe.kernel.tarball else recipe.kernel.version
    directory = make.output / "build" / f"linux-{source}"
    bzimage = make.output / "images" / BZIMAGE
    for file in (bzimage, directory / VMLINUX):
        if not file.is_file():
            raise RigError(f"Buildroot left no {file.name}", where=file.parent, remedy=f"see {make.log}")
    config = (directory / ".config").read_text()
    check_met(map(read_fragment, fragment_files(recipe)), read_config(config), directory / ".config")
    spec, release = f"buildroot:{recipe.kernel.version}", kernel_release(bzimage)
    about = {"spec": spec, "release": release, "package": None}
    if recipe.kernel.debuginfo:
        keep_symbols(store, directory / VMLINUX, {"source": spec, **about})
    with store.staging_directory() as work:
        result = _result(work)
        boots = lay_out_kernel(result, bzimage, directory / VMLINUX, config)
        key = digest_text(digest_file(result / boots), config, BUILDROOT_LAYOUT)
        entry = store.add("kernel", key, result, {**about, "boots": boots})
    store.set_ref(buildroot_ref(recipe.kernel.version), entry.key)
    return entry


def _result(work: Path) -> Path:
    result = work / "result"
    result.mkdir()
    return result


def _unpack(tar: Path, tree: Path) -> None:
    """Unpack a root filesystem as an unprivileged user. Device nodes are left out: the guest mounts devtmpfs."""
    tree.mkdir()
    with tarfile.open(tar) as source:
        extract_tree(source, tree, (info for info in source if not (info.ischr() or info.isblk())))
    for name in ("dev", "proc", "sys", "run", "tmp", "root", "payload"):
        (tree / name).mkdir(exist_ok=True)
    tree.chmod(0o755)
    (tree / "tmp").chmod(0o1777)

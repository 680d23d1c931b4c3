"""What Buildroot has built, taken into the cache: kernel, root filesystem, agent and programs."""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.errors import RigError
from rig.image.buildroot.defconfig import ConfigError, differences, fragment_files, read_config
from rig.image.buildroot.make import Make
from rig.image.buildroot.recipe import BuildrootRecipe
from rig.image.buildroot.tree import Buildroot
from rig.image.daximage import write_ext4
from rig.image.guestcode import sources_digest
from rig.image.kernel import BZIMAGE, buildroot_ref, kernel_version
from rig.image.rootfs import BUILDROOT_LAYOUT, GUEST_FOLDER, IMAGE, image_ref
from rig.image.store import Entry, Store, digest_file, digest_text

__all__ = ["Collected", "collect"]


@dataclass(frozen=True)
class Collected:
    """The entries of one build. seconds: how long it took."""

    kernel: Entry
    rootfs: Entry
    seconds: float


def collect(store: Store, make: Make, recipe: BuildrootRecipe, buildroot: Buildroot, *, seconds: float) -> Collected:
    """Add what lies in Buildroot's output to the cache.

    Raises ConfigError where the kernel's configuration is not what the fragments ask for, RigError where a file that a
    guest needs is not there.
    """
    images = make.output / "images"
    for name in (BZIMAGE, "rootfs.tar", f"{GUEST_FOLDER}/rig-agent"):
        if not (images / name).is_file():
            raise RigError(f"Buildroot left no {name}", where=images, remedy=f"see {make.log}")
    info = json.loads(make.answer("show-info"))
    kernel = _add_kernel(store, make, recipe)
    with store.workplace() as work:
        _unpack(images / "rootfs.tar", work / "tree")
        result = work / "result"
        result.mkdir()
        write_ext4(work / "tree", result / IMAGE)
        shutil.copytree(images / GUEST_FOLDER, result / GUEST_FOLDER)
        programs = sorted((result / GUEST_FOLDER).rglob("*"))
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
    """Return name -> version of what lies in the guest, from Buildroot's show-info."""
    return {
        name: about.get("version", "")
        for name, about in sorted(info.items())
        if about.get("type") == "target" and not about.get("virtual") and about.get("version")
    }


def _add_kernel(store: Store, make: Make, recipe: BuildrootRecipe) -> Entry:
    """Add bzImage, vmlinux and configuration; every line of the fragments must be in force."""
    folder = next((path.parent for path in (make.output / "build").glob("linux-*/vmlinux")), None)
    if folder is None:
        raise RigError("Buildroot left no vmlinux", where=make.output / "build", remedy=f"see {make.log}")
    config = (folder / ".config").read_text()
    _check_kernel_config(config, recipe)
    bzimage = make.output / "images" / BZIMAGE
    release = kernel_version(bzimage)
    with store.workplace() as work:
        result = work / "result"
        result.mkdir()
        shutil.copyfile(bzimage, result / BZIMAGE)
        shutil.copyfile(folder / "vmlinux", result / "vmlinux")
        (result / "config").write_text(config)
        spec = f"buildroot:{recipe.kernel.version}"
        about = {"spec": spec, "release": release, "package": None, "modules": False}
        entry = store.add("kernel", digest_text(digest_file(bzimage), BUILDROOT_LAYOUT), result, about)
    store.set_ref(buildroot_ref(recipe.kernel.version), entry.key)
    return entry


def _check_kernel_config(config: str, recipe: BuildrootRecipe) -> None:
    got = read_config(config, "the kernel's .config")
    wrong: list[str] = []
    for path in fragment_files(recipe):
        wrong += differences(read_config(path.read_text(), path.name), got)
    if wrong:
        raise ConfigError(
            f"{len(wrong)} lines of the kernel fragments are not in force in {recipe.kernel.version}",
            where="images/buildroot/board/rig/linux",
            detail="\n".join(wrong),
        )


def _unpack(tar: Path, tree: Path) -> None:
    """Unpack a root filesystem without root: device nodes are the kernel's business (devtmpfs)."""
    tree.mkdir()
    with tarfile.open(tar) as source:
        members = [info for info in source if not (info.ischr() or info.isblk())]
        for info in members:
            info.mode &= 0o777
        filters: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
        source.extractall(tree, members, **filters)
    for name in ("dev", "proc", "sys", "run", "tmp", "root", "payload"):
        (tree / name).mkdir(exist_ok=True)
    tree.chmod(0o755)
    (tree / "tmp").chmod(0o1777)

# SPDX-License-Identifier: MIT
"""Kernels that guests boot: Debian's by suite, one built from source, or any bzImage or vmlinux of the user's.

Every command spells them alike: `debian:SUITE`, `source:SUITE`, `buildroot:VERSION`, `tree:DIR`, or a path.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from rig.errors import RigError, UsageError
from rig.image.apt import Package, PrivateApt
from rig.image.bootfile import BZIMAGE, Kernel, boot_config, kernel_of_entry, kernel_release
from rig.image.digest import digest_file, digest_text
from rig.image.hosttools import run_tool
from rig.image.kconfig import check_boots, read_config
from rig.image.modules import ModuleTree
from rig.image.programs import FETCH
from rig.image.recipe import quick_recipe
from rig.image.ref import KERNEL_SPELLINGS, KernelRef
from rig.image.store import Store

__all__ = ["Kernel", "build_debian_kernel", "buildroot_ref", "check_spelling", "find_kernel"]

logger = logging.getLogger(__name__)
LAYOUT = "2"  # part of the cache key; raise it when the set of files kept from a package changes
IMAGE_PLACES = ("boot/vmlinuz-*", "lib/modules/*/vmlinuz")
# Meta packages of Debian and Ubuntu, most wanted first: the cloud flavour is small and boots in half the time of the
# general one.
FLAVOURS = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-amd64", "linux-image-generic")


def find_kernel(store: Store, spec: str, tell: Callable[[str], None] = logger.warning) -> Kernel:
    """Return the kernel that `spec` spells, fetched or built first if it is not in the cache.

    tell: called with a line for each step of a build, which may take minutes.
    Raises UsageError for an unknown spelling and for a file that no guest can boot.
    Raises RigError when the kernel cannot be fetched or built.
    """
    ref = KernelRef.parse(spec)
    match ref.kind:
        case "debian":
            entry = store.get_verified("kernel", store.ref(_ref(ref.name)))
            return kernel_of_entry(entry) if entry else build_debian_kernel(store, ref.name)
        case "buildroot":
            entry = store.get_verified("kernel", store.ref(buildroot_ref(ref.name)))
            if entry is None:
                raise RigError(
                    f"the kernel {ref} has not been built here",
                    where="--kernel",
                    remedy=f"rig kernel build buildroot:{ref.name or '6.12.60'} --buildroot DIR",
                )
            return kernel_of_entry(entry)
        case "file":
            return _file_kernel(ref.path)
        case "source" | "tree":
            # Imported on demand: the builders take 8 ms to import, and Debian's kernels do not need them.
            from rig.image.sourcekernel import find_source_kernel, find_tree_kernel

            find = find_source_kernel if ref.kind == "source" else find_tree_kernel
            return find(store, ref.name, tell)


def check_spelling(spec: str) -> str:
    """Return the spelling with paths made absolute.

    Raises UsageError for an unknown spelling, and for a path at which there is no tree or file.
    """
    ref = KernelRef.parse(spec, "rig kernel use")
    if ref.kind in ("debian", "source") or (ref.kind == "buildroot" and ref.name):
        return str(ref)
    if (ref.kind == "tree" and ref.path.is_dir()) or (ref.kind == "file" and ref.path.is_file()):
        return str(KernelRef(ref.kind, str(ref.path.absolute())))
    raise UsageError(f"'{spec}' is not a kernel", where="rig kernel use", remedy=KERNEL_SPELLINGS)


def _file_kernel(path: Path) -> Kernel:
    if not path.is_file():
        raise UsageError(f"there is no file '{path}'", where="--kernel", remedy=KERNEL_SPELLINGS)
    release = kernel_release(path)
    # A kernel given as a file comes without modules, so all that a guest needs must be built in (=y).
    if (config := boot_config(path.resolve())) is not None:
        check_boots(read_config(config), str(path))
    return Kernel(str(path.resolve()), release, None, path.resolve(), None, digest_file(path))


def build_debian_kernel(store: Store, suite: str) -> Kernel:
    """Fetch the newest kernel of a suite, in the first of FLAVOURS that the suite has, and add it to the cache.

    Raises RigError where the suite has no kernel package.
    """
    with store.lock(f"kernel-{suite}", FETCH), store.staging_directory() as work:
        apt = PrivateApt(work / "apt", suite)
        apt.update()
        meta = next((found for name in FLAVOURS if (found := apt.package(name))), None)
        if meta is None:
            raise RigError(f"the suite {suite} has no kernel package", where=apt.mirror)
        packages = _real_packages(apt, meta)
        root = work / "root"
        root.mkdir()
        for package in packages:
            deb = apt.download(package.name, work)
            run_tool(["dpkg-deb", "-x", deb, root], what=f"unpacking {package.name}")
        # Debian's packages have modules in usr/lib since trixie, and since 7.x the kernel image beside the modules.
        if (root / "usr/lib/modules").is_dir() and not (root / "lib").exists():
            (root / "lib").symlink_to("usr/lib")
        image = next((path for place in IMAGE_PLACES for path in root.glob(place)), None)
        release = packages[0].name.removeprefix("linux-image-")
        if image is None:
            raise RigError(f"{packages[0].name} contains no kernel", where=apt.mirror)
        run_tool(["depmod", "-b", root, release], what="ordering the kernel's modules")
        result = work / "result"
        result.mkdir()
        shutil.copyfile(image, result / BZIMAGE)
        for place in (f"boot/config-{release}", f"lib/modules/{release}/config"):
            if (root / place).is_file():
                shutil.copyfile(root / place, result / "config")
        _keep_modules(root / "lib/modules" / release, result / "lib/modules" / release)
        about = {
            "spec": str(KernelRef("debian", suite)),
            "release": release,
            "package": f"{packages[0].name} {packages[0].version}",
        }
        entry = store.add("kernel", digest_text(digest_file(image), repr(quick_recipe()), LAYOUT), result, about)
        store.set_ref(_ref(suite), entry.key)
        return kernel_of_entry(entry)


def _ref(suite: str) -> str:
    # The name contains a digest of the recipe, so that a change of the wanted modules unpacks the package again.
    return f"kernel/debian:{suite}-{digest_text(repr(quick_recipe()), LAYOUT)[:12]}"


def buildroot_ref(version: str) -> str:
    """Return the name in the cache for the newest kernel of a version that Buildroot has built."""
    return f"kernel/buildroot:{version}"


def _keep_modules(source: Path, target: Path) -> None:
    """Copy the modules that guests use, and the indexes that depmod wrote. A distribution has thousands more."""
    recipe = quick_recipe()
    tree = ModuleTree(source)
    # A kernel that no guest could boot must not get into the cache.
    tree.order(recipe.required, required=True)
    target.mkdir(parents=True)
    for name in ("modules.dep", "modules.softdep", "modules.builtin"):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    for name in tree.order(recipe.modules, required=False):
        file = tree.file(name)
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _real_packages(apt: PrivateApt, meta: Package) -> list[Package]:
    """Return the packages that a meta package stands for, the one that names the release first.

    Since 7.x Debian splits a kernel's package into linux-base-*, linux-modules-* and linux-binary-*.
    """
    image = next(
        (found for name in meta.depends if name.startswith("linux-image-") and (found := apt.package(name))),
        None,
    )
    if image is None:
        raise RigError(f"{meta.name} depends on no kernel package", where=apt.mirror)
    release = image.name.removeprefix("linux-image-")
    parts = [f"linux-{part}-{release}" for part in ("base", "modules", "binary")]
    return [image, *(found for name in image.depends if name in parts and (found := apt.package(name)))]

# SPDX-License-Identifier: MIT
"""Kernels that guests boot: Debian's by suite, one built from source, or any bzImage or vmlinux of the user's.

One spelling everywhere: `debian:SUITE`, `source:SUITE`, `buildroot:VERSION`, `tree:DIR`, or a path.
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
from rig.image.recipe import quick_recipe
from rig.image.ref import KERNEL_SPELLINGS, KernelRef
from rig.image.sourcekernel import find_source_kernel, find_tree_kernel
from rig.image.store import Store

__all__ = ["Kernel", "build_debian_kernel", "buildroot_ref", "check_spelling", "find_kernel"]

logger = logging.getLogger(__name__)
LAYOUT = "2"  # counts up when other files of a package are kept
IMAGE_PLACES = ("boot/vmlinuz-*", "lib/modules/*/vmlinuz")
# Our flavour first: it is small and boots in half the time of the general one.
FLAVOURS = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-amd64", "linux-image-generic")


def find_kernel(store: Store, spec: str, tell: Callable[[str], None] = logger.warning) -> Kernel:
    """Return the kernel of that spelling, fetching or building it where it is not in the cache yet.

    tell: is told what is being built, which may take minutes. Raises UsageError for a spelling that means nothing and
    for a file that no guest can boot, RigError when the kernel cannot be had.
    """
    ref = KernelRef.parse(spec)
    match ref.kind:
        case "debian":
            entry = store.get_verified("kernel", store.ref(_ref(ref.name)))
            return kernel_of_entry(entry) if entry else build_debian_kernel(store, ref.name)
        case "source":
            return find_source_kernel(store, ref.name, tell)
        case "buildroot":
            entry = store.get_verified("kernel", store.ref(buildroot_ref(ref.name)))
            if entry is None:
                raise RigError(
                    f"the kernel {ref} has not been built here",
                    where="--kernel",
                    remedy=f"rig kernel build buildroot:{ref.name or '6.12.60'} --buildroot DIR",
                )
            return kernel_of_entry(entry)
        case "tree":
            return find_tree_kernel(store, ref.name, tell)
        case "file":
            return _file_kernel(ref.path)


def check_spelling(spec: str) -> str:
    """Return the spelling with paths made absolute. Raises UsageError for one that means nothing, or names no file."""
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
    # No module goes with a file, so what it cannot do without it never can.
    if (config := boot_config(path.resolve())) is not None:
        check_boots(read_config(config), str(path))
    return Kernel(str(path.resolve()), release, None, path.resolve(), None, digest_file(path))


def build_debian_kernel(store: Store, suite: str) -> Kernel:
    """Fetch the newest cloud kernel of a suite and keep it unpacked. Raises RigError where there is none."""
    with store.lock(f"kernel-{suite}"), store.staging_directory() as work:
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
        # Debian moved modules below /usr in trixie, and the kernel beside them in 7.x.
        if (root / "usr/lib/modules").is_dir() and not (root / "lib").exists():
            (root / "lib").symlink_to("usr/lib")
        image = next((path for place in IMAGE_PLACES for path in root.glob(place)), None)
        release = packages[0].name.removeprefix("linux-image-")
        if image is None:
            raise RigError(f"{packages[0].name} holds no kernel", where=apt.mirror)
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
    # With the recipe in it: when other modules are wanted, the kernel is unpacked anew.
    return f"kernel/debian:{suite}-{digest_text(repr(quick_recipe()), LAYOUT)[:12]}"


def buildroot_ref(version: str) -> str:
    """Return the name under which the newest kernel that Buildroot built of a version is found in the cache."""
    return f"kernel/buildroot:{version}"


def _keep_modules(source: Path, target: Path) -> None:
    """Copy the modules that guests use and the lists about them; a distribution has thousands more."""
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
    """Follow the meta package to the kernel itself; since 7.x modules and kernel are packages of their own."""
    image = next(
        (found for name in meta.depends if name.startswith("linux-image-") and (found := apt.package(name))),
        None,
    )
    if image is None:
        raise RigError(f"{meta.name} leads to no kernel", where=apt.mirror)
    release = image.name.removeprefix("linux-image-")
    parts = [f"linux-{part}-{release}" for part in ("base", "modules", "binary")]
    return [image, *(found for name in image.depends if name in parts and (found := apt.package(name)))]

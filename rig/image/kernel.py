"""Kernels that guests boot: Debian's by suite, or any bzImage of the user's.

One spelling everywhere: `debian:SUITE`, or a path.
"""

from __future__ import annotations

import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError, WrongCall
from rig.image.apt import Package, PrivateApt
from rig.image.hosttools import run_tool
from rig.image.modules import ModuleTree
from rig.image.recipe import quick_recipe
from rig.image.store import Entry, Store, digest_file, digest_text

__all__ = ["Kernel", "build_debian_kernel", "buildroot_ref", "find_kernel", "kernel_version"]

BZIMAGE = "bzImage"
LAYOUT = "2"  # counts up when other files of a package are kept
IMAGE_PLACES = ("boot/vmlinuz-*", "lib/modules/*/vmlinuz")
# Our flavour first: it is small and boots in half the time of the general one.
FLAVOURS = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-amd64", "linux-image-generic")


@dataclass(frozen=True)
class Kernel:
    """A bootable kernel.

    spec: as it was asked for; release: `uname -r`; package: name and version where it came from one;
    modules: the folder that holds lib/modules/RELEASE, or None where all is built in; digest: of the bzImage.
    """

    spec: str
    release: str
    package: str | None
    bzimage: Path
    modules: Path | None
    digest: str


def kernel_version(path: Path) -> str:
    """Return the release from a bzImage's header (Documentation/arch/x86/boot.rst, kernel_version).

    Raises RigError when the file is no x86 bzImage.
    """
    try:
        with path.open("rb") as file:
            head = file.read(0x10000)
    except OSError as error:
        raise WrongCall(f"cannot be read: {error.strerror}", where=path, remedy="name a bzImage") from error
    if head[:4] == b"\x7fELF":
        raise WrongCall(
            "is an ELF file, not a bzImage", where=path, remedy="give arch/x86/boot/bzImage of the same build"
        )
    if head[0x202:0x206] != b"HdrS":
        kind = "an arm64 Image" if head[0x38:0x3C] == b"ARMd" else "no kernel for x86"
        raise WrongCall(f"is {kind}", where=path, remedy="give an x86-64 bzImage")
    (offset,) = struct.unpack_from("<H", head, 0x20E)
    text = head[offset + 0x200 : offset + 0x300].split(b"\0")[0].decode(errors="replace")
    return text.split(" ")[0] or "unknown"


def find_kernel(store: Store, spec: str) -> Kernel:
    """Return the kernel of that spelling, building it where it is a package and not in the cache yet.

    Raises WrongCall for a spelling that means nothing, RigError when the package cannot be had.
    """
    if spec.startswith("debian:"):
        suite = spec.removeprefix("debian:")
        if re.fullmatch(r"[a-z][a-z0-9.-]*", suite) is None:
            raise WrongCall(f"'{suite}' is no suite", where=f"--kernel {spec}", remedy="as in debian:bookworm")
        entry = store.whole("kernel", store.ref(_ref(suite)))
        return _from_entry(entry) if entry else build_debian_kernel(store, suite)
    if spec.startswith("buildroot:"):
        entry = store.whole("kernel", store.ref(buildroot_ref(spec.removeprefix("buildroot:"))))
        if entry is None:
            raise RigError(
                f"the kernel {spec} has not been built here",
                where="--kernel",
                remedy="rig image build --builder buildroot --buildroot DIR builds the one of its recipe",
            )
        return _from_entry(entry)
    if ":" in spec and "/" not in spec:
        raise WrongCall(
            f"'{spec}' is no kernel",
            where="--kernel",
            remedy="write debian:SUITE, as in debian:bookworm, or the path of a bzImage",
        )
    path = Path(spec).expanduser()
    if not path.is_file():
        raise WrongCall(
            f"there is no file '{spec}'",
            where="--kernel",
            remedy="write debian:SUITE, as in debian:bookworm, or the path of a bzImage",
        )
    return Kernel(str(path.resolve()), kernel_version(path), None, path.resolve(), None, digest_file(path))


def build_debian_kernel(store: Store, suite: str) -> Kernel:
    """Fetch the newest cloud kernel of a suite and keep it unpacked. Raises RigError where there is none."""
    with store.lock(f"kernel-{suite}"), store.workplace() as work:
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
            "spec": f"debian:{suite}",
            "release": release,
            "package": f"{packages[0].name} {packages[0].version}",
        }
        entry = store.add("kernel", digest_text(digest_file(image), repr(quick_recipe()), LAYOUT), result, about)
        store.set_ref(_ref(suite), entry.key)
        return _from_entry(entry)


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


def _from_entry(entry: Entry) -> Kernel:
    entry.touch()
    return Kernel(
        spec=entry.about["spec"],
        release=entry.about["release"],
        package=entry.about["package"],
        bzimage=entry.file(BZIMAGE),
        modules=entry.path if entry.about.get("modules", True) else None,
        digest=entry.files[BZIMAGE],
    )

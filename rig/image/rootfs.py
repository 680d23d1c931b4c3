# SPDX-License-Identifier: MIT
"""Find root filesystems by name, and build `quick` from Debian packages: without root, and reproducible."""

from __future__ import annotations

import fnmatch
import logging
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rig.errors import RigError, UsageError
from rig.image.apt import host_suite
from rig.image.daximage import write_ext4
from rig.image.digest import digest_file, digest_text
from rig.image.entry import Entry
from rig.image.guestcode import GuestCode, code_in, sources_digest
from rig.image.hosttools import run_tool
from rig.image.mmdebstrap import HOST_FILES, extract_packages
from rig.image.programs import FETCH
from rig.image.recipe import Recipe, quick_recipe
from rig.image.ref import IMAGE_SPELLINGS, ImageRef
from rig.image.store import Store
from rig.untar import extract_tree

__all__ = [
    "BUILDROOT_LAYOUT", "GUEST_DIRECTORY", "HOSTNAME", "HOSTS", "IMAGE", "Rootfs", "build_quick", "check_image",
    "find_rootfs", "image_ref", "merged_path",
]  # fmt: skip

logger = logging.getLogger(__name__)
IMAGE = "root.img"
GUEST_DIRECTORY = "rig-guest"
BUILDROOT_LAYOUT = "1"  # increase when the layout of an entry made with Buildroot changes
LAYOUT = "3"  # increase when the layout of the image changes
HOSTNAME = "guest"
HOSTS = f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {HOSTNAME}\n"
BASE_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "etc/shells": "/bin/sh\n",
    "etc/hostname": f"{HOSTNAME}\n",
    "etc/hosts": HOSTS,
    "etc/profile": "PS1='guest# '\nexport PATH=/usr/sbin:/usr/bin\n",
}


@dataclass(frozen=True)
class Rootfs:
    """A root filesystem image.

    packages: name -> version, empty for an image that was not made from packages.
    kernel: the kernel that a guest boots if the user names none.
    code: the agent and programs that were built with the image.
    """

    spec: str
    image: Path
    digest: str
    packages: dict[str, str]
    kernel: str | None = None
    code: GuestCode | None = None


def find_rootfs(store: Store, spec: str) -> Rootfs:
    """Return the root filesystem that `spec` names: `quick`, `buildroot[:NAME]` or the path of a file.

    `quick` is built if it is not in the cache.
    Raises UsageError for any other spec, RigError for a Buildroot image that has not been built yet.
    """
    ref = ImageRef.parse(spec)
    if ref.kind == "buildroot":
        return _from_buildroot(store, ref)
    if ref.kind == "quick":
        entry = store.get_verified("rootfs", store.ref(_ref(host_suite())))
        return _from_entry(entry or build_quick(store))
    path = _image_file(ref.path, spec)
    return Rootfs(str(path), path, digest_file(path), {})


def check_image(spec: str) -> str:
    """Return the spelling of an image with a path made absolute.

    Whether an image of Buildroot has been built is not checked.
    Raises UsageError for a path at which there is no image for a guest.
    """
    ref = ImageRef.parse(spec)
    return str(_image_file(ref.path, spec)) if ref.kind == "file" else str(ref)


def _image_file(path: Path, spec: str) -> Path:
    """Return the absolute path of an image. Raises UsageError for a file that QEMU could not give to a guest."""
    if path.is_dir():
        raise UsageError(
            "is a directory, not an image",
            where=f"--image {spec}",
            remedy=f"run a program of it: rig exec --root {spec} -- PROGRAM; or name it: rig image import NAME {spec}",
        )
    if not path.is_file():
        raise UsageError(f"'{spec}' is not an image", where="--image", remedy=IMAGE_SPELLINGS)
    with path.open("rb") as file:
        head = file.read(4096 + 16)
    if head[:4] != b"hsqs" and head[4096:] != b"NVDIMM_PFN_INFO\0":
        raise UsageError(
            "is not an image for a guest's NVDIMM",
            where=path,
            remedy=f"run a program of an archive: rig exec --root {spec} -- PROGRAM; or give a file that rig has built",
        )
    return path.resolve()


def image_ref(spec: str) -> str:
    """Return the name under which the newest image `buildroot` or `buildroot:NAME` is found in the cache."""
    return f"rootfs/{spec}-{BUILDROOT_LAYOUT}"


def build_quick(store: Store, suite: str | None = None) -> Entry:
    """Build the quick image from the packages of a suite (the host's own by default)."""
    suite = suite or host_suite()
    recipe = quick_recipe()
    with store.lock(f"rootfs-{suite}", FETCH), store.staging_directory() as work:
        tar = work / "packages.tar"
        packages = extract_packages(
            recipe.packages, suite, tar, work, what=f"fetching the packages of the quick image from {suite}"
        )
        result = work / "result"
        result.mkdir()
        image = result / IMAGE
        _extract(tar, recipe, work / "tree")
        write_ext4(work / "tree", image)
        entry = store.add("rootfs", digest_file(image), result, {"spec": "quick", "suite": suite, "packages": packages})
        store.set_ref(_ref(suite), entry.key)
        return entry


def _ref(suite: str) -> str:
    # The digest of the recipe makes a changed recipe build a new image.
    return f"rootfs/quick-{suite}-{digest_text(repr(quick_recipe()), LAYOUT)[:12]}"


def _from_entry(entry: Entry) -> Rootfs:
    return Rootfs("quick", entry.file(IMAGE), entry.key, entry.about["packages"])


def _from_buildroot(store: Store, ref: ImageRef) -> Rootfs:
    entry = store.get_verified("rootfs", store.ref(image_ref(str(ref))))
    if entry is None:
        words = f" --recipe {ref.name}" if ref.name else ""
        raise RigError(
            f"the image {ref} has not been built here",
            where=f"--image {ref}",
            remedy=f"rig image build --builder buildroot{words} --buildroot DIR",
        )
    about = entry.about
    code = None
    if about["guest"] == sources_digest():
        code = code_in(entry.file(GUEST_DIRECTORY), entry.files[f"{GUEST_DIRECTORY}/rig-agent"])
    else:
        logger.warning("the agent in the image %s is of other sources: it is compiled here. Build the image again", ref)
    return Rootfs(str(ref), entry.file(IMAGE), entry.files[IMAGE], about["packages"], about["kernel"], code)


def merged_path(name: str) -> str:
    """Return a path as it is after the /usr merge, where /bin, /sbin and /lib are links into /usr.

    Debian requires the merge since bookworm.
    """
    first, _, rest = name.partition("/")
    return f"usr/{first}/{rest}" if first in ("bin", "sbin", "lib", "lib64") and rest else name


def _extract(tar: Path, recipe: Recipe, tree: Path) -> None:
    """Unpack the files that a guest needs into `tree`, and add what maintainer scripts would have made."""
    tree.mkdir()
    with tarfile.open(tar) as source:
        members = []
        for info in source:
            name = merged_path(str(PurePosixPath(info.name)))
            if name in (".", "bin", "sbin", "lib", "lib64") or info.ischr() or info.isblk():
                continue
            if name in HOST_FILES or any(fnmatch.fnmatchcase(name, pattern) for pattern in recipe.exclude):
                continue
            if info.islnk():
                info.linkname = merged_path(str(PurePosixPath(info.linkname)))
            info.name = name
            members.append(info)
        extract_tree(source, tree, members)
    _add_base(tree)


def _add_base(tree: Path) -> None:
    """Add what the packages lack: mount points, the links of a merged /usr, busybox's applets, and the user root."""
    for name in ("etc", "var", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc/dropbear", "var/log"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name in ("dev", "proc", "sys", "run", "tmp", "mnt", "payload", "root"):
        (tree / name).mkdir(exist_ok=True)
    for path in tree.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    (tree / "root").chmod(0o700)
    (tree / "tmp").chmod(0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    busybox = tree / "usr/bin/busybox"
    if not busybox.is_file():
        raise RigError("the packages contain no busybox", where=tree)
    listing = run_tool([busybox, "--list"], what="asking busybox for its applets")
    for applet in listing.split():
        if not any((tree / directory / applet).exists() for directory in ("usr/bin", "usr/sbin")):
            (tree / "usr/bin" / applet).symlink_to("busybox")
    python = sorted((tree / "usr/bin").glob("python3.*"))
    if python and not (tree / "usr/bin/python3").exists():
        (tree / "usr/bin/python3").symlink_to(python[-1].name)
    for name, text in BASE_FILES.items():
        (tree / name).unlink(missing_ok=True)
        (tree / name).write_text(text)
    (tree / "etc/shadow").chmod(0o600)

"""The quick root filesystem: Debian's packages, extracted without root, in a reproducible squashfs."""

from __future__ import annotations

import fnmatch
import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rig.errors import RigError, WrongCall
from rig.image.apt import host_mirror, host_suite
from rig.image.hosttools import run_tool, tool
from rig.image.recipe import Recipe, quick_recipe
from rig.image.store import Entry, Store, digest_file, digest_text

__all__ = ["Rootfs", "build_quick", "find_rootfs"]

SQUASHFS = "root.squashfs"
LAYOUT = "1"  # counts up when this module lays the image out in another way
# NVDIMMs are mapped in whole 2 MiB pages; QEMU refuses sizes that are not.
NVDIMM_ALIGNMENT = 2 << 20


@dataclass(frozen=True)
class Rootfs:
    """A root filesystem image. packages: name -> version, empty where it was not made from packages."""

    spec: str
    image: Path
    digest: str
    packages: dict[str, str]


def find_rootfs(store: Store, spec: str) -> Rootfs:
    """Return the image `quick`, built where it is not in the cache yet, or the file at a path.

    Raises WrongCall for what is neither.
    """
    if spec == "quick":
        entry = store.whole("rootfs", store.ref(_ref(host_suite())))
        return _from_entry(entry or build_quick(store))
    path = Path(spec).expanduser()
    if not path.is_file():
        raise WrongCall(f"'{spec}' is no image", where="--image", remedy="write quick, or the path of a squashfs image")
    if path.read_bytes()[:4] != b"hsqs":
        raise WrongCall("is no squashfs image", where=path, remedy="make one with mksquashfs")
    return Rootfs(str(path.resolve()), path.resolve(), digest_file(path), {})


def build_quick(store: Store, suite: str | None = None) -> Entry:
    """Build the quick image from the packages of a suite (the host's own by default)."""
    suite = suite or host_suite()
    recipe = quick_recipe()
    with store.lock(f"rootfs-{suite}"), store.workplace() as work:
        tar = work / "packages.tar"
        listing = work / "packages"
        run_tool(
            [
                "mmdebstrap",
                "--variant=extract",
                "--mode=chrootless",
                "--quiet",
                # What was extracted, by the files that apt fetched.
                f'--extract-hook=ls "$1/var/cache/apt/archives" > {listing}',
                f"--include={','.join(recipe.packages)}",
                suite,
                tar,
                host_mirror(),
            ],
            what=f"fetching the packages of the quick image from {suite}",
        )
        packages = _packages(listing.read_text())
        filtered = _filter(tar, recipe)
        result = work / "result"
        result.mkdir()
        image = result / SQUASHFS
        _squash(filtered, image)
        entry = store.add("rootfs", digest_file(image), result, {"spec": "quick", "suite": suite, "packages": packages})
        store.set_ref(_ref(suite), entry.key)
        return entry


def _ref(suite: str) -> str:
    # With the recipe in it: a changed recipe makes a new image.
    return f"rootfs/quick-{suite}-{digest_text(repr(quick_recipe()), LAYOUT)[:12]}"


def _from_entry(entry: Entry) -> Rootfs:
    entry.touch()
    return Rootfs("quick", entry.file(SQUASHFS), entry.key, entry.about["packages"])


def _merged(name: str) -> str:
    """Return where a path lies once /bin, /sbin and /lib are links into /usr, as in Debian since bookworm."""
    first, _, rest = name.partition("/")
    return f"usr/{first}/{rest}" if first in ("bin", "sbin", "lib", "lib64") and rest else name


def _filter(tar: Path, recipe: Recipe) -> bytes:
    """Return the extracted tree as a tar with only what a guest needs.

    Owners, times and order are fixed, so that the same packages make the same bytes.
    """
    members: dict[str, tuple[tarfile.TarInfo, bytes | None]] = {}
    with tarfile.open(tar) as source:
        for info in source:
            name = _merged(str(PurePosixPath(info.name)))
            if name in (".", "bin", "sbin", "lib", "lib64") or any(
                fnmatch.fnmatchcase(name, pattern) for pattern in recipe.exclude
            ):
                continue
            file = source.extractfile(info) if info.isreg() else None
            data = file.read() if file else None
            if info.islnk():
                info.linkname = _merged(str(PurePosixPath(info.linkname)))
            info.name = name
            members[name] = (info, data)
    busybox = members.get("usr/bin/busybox")
    if busybox is None or busybox[1] is None:
        raise RigError("the packages brought no busybox", where=tar)
    _add_base(members, _applets(busybox[1], tar.parent))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as target:
        for name in sorted(members):
            info, data = members[name]
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = 0
            target.addfile(info, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def _packages(listing: str) -> dict[str, str]:
    """Return name -> version from the names of package files; apt writes the colon of an epoch as %3a."""
    names = [line.removesuffix(".deb").split("_") for line in listing.split() if line.endswith(".deb")]
    return {name: version.replace("%3a", ":") for name, version, _ in names}


def _applets(busybox: bytes, work: Path) -> list[str]:
    program = work / "busybox"
    program.write_bytes(busybox)
    program.chmod(0o755)
    return subprocess.run([program, "--list"], capture_output=True, check=True, text=True).stdout.split()


def _add_base(members: dict[str, tuple[tarfile.TarInfo, bytes | None]], applets: list[str]) -> None:
    """Add what packages leave to the installation: links, mount points, the one user."""

    def folder(name: str, mode: int = 0o755) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode
        members[name] = (info, None)

    def link(name: str, to: str) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, to, 0o777
        members[name] = (info, None)

    def file(name: str, text: str, mode: int = 0o644) -> None:
        info = tarfile.TarInfo(name)
        info.mode, info.size = mode, len(text)
        members[name] = (info, text.encode())

    for name in ("usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "var"):
        folder(name)
    for name in ("dev", "proc", "sys", "run", "tmp", "mnt", "payload", "root", "etc/dropbear", "var/log"):
        folder(name)
    folder("root", 0o700)
    folder("tmp", 0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        link(name, f"usr/{name}")
    for applet in applets:
        if f"usr/bin/{applet}" not in members and f"usr/sbin/{applet}" not in members and applet != "busybox":
            link(f"usr/bin/{applet}", "busybox")
    python = sorted(name for name in members if fnmatch.fnmatchcase(name, "usr/bin/python3.*"))
    if python and "usr/bin/python3" not in members:
        link("usr/bin/python3", PurePosixPath(python[-1]).name)
    file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    file("etc/group", "root:x:0:\nnogroup:x:65534:\n")
    file("etc/shadow", "root:*:19000:0:99999:7:::\n", 0o600)
    file("etc/shells", "/bin/sh\n")
    file("etc/hostname", "rig\n")
    file("etc/hosts", "127.0.0.1 localhost\n10.0.2.15 rig\n")
    file("etc/profile", "PS1='guest# '\nexport PATH=/usr/sbin:/usr/bin\n")


def _squash(tar: bytes, image: Path) -> None:
    """Write a squashfs. lz4, because unpacking is paid for in the guest's emulated instructions."""
    command = [
        tool("mksquashfs"), "-", str(image), "-tar", "-noappend", "-quiet", "-no-progress",
        "-comp", "lz4", "-Xhc",
        "-b", "64K",
        "-mkfs-time", "0",
        "-processors", "2",
    ]  # fmt: skip
    done = subprocess.run(command, input=tar, capture_output=True, check=False)
    if done.returncode != 0:
        raise RigError("the root filesystem could not be packed", detail=done.stderr.decode(errors="replace")[-2000:])
    with image.open("r+b") as file:
        size = file.seek(0, io.SEEK_END)
        file.truncate(-(-size // NVDIMM_ALIGNMENT) * NVDIMM_ALIGNMENT)

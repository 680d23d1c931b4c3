# SPDX-License-Identifier: MIT
"""Check the host for what rig needs, and report each finding with its remedy."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rig.deadline_scale import deadline_scale
from rig.disk import bytes_below
from rig.errors import RigError
from rig.experiment.cache_use import measure_use
from rig.image.apt import host_mirror, host_suite
from rig.image.bounds import runs_bound
from rig.image.defaults import default_image, default_kernel
from rig.image.hosttools import PACKAGES, tool
from rig.image.kinds import BUILD_DIRECTORIES
from rig.image.ref import KernelRef
from rig.image.store import Store
from rig.installer import put_on_path
from rig.machine.accel import prove_kvm
from rig.machine.host import KVM, unusable_kvm
from rig.machine.qemu import find_qemu
from rig.run.directory import runs_directory
from rig.run.disk_use import runs_by_kind
from rig.units import format_megabytes, format_size

__all__ = ["Finding", "examine", "examine_kvm"]

MEMINFO = Path("/proc/meminfo")

Level = Literal["ok", "note", "bad"]
NEEDED_TOOLS = ("cc", "make", "cpio", "depmod", "mke2fs", "debugfs", "xz", "zstd", "apt-get", "dpkg-deb", "mmdebstrap")
ROOM = 2 << 30
DEFAULT_GUEST = 512 << 20


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    level: `bad` if the main job cannot run on this host, `note` if something is missing that it does not need.
    saw: what the check found, for display.
    """

    level: Level
    what: str
    saw: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Yield the findings one by one; the only program that is started is `qemu --version`."""
    yield Finding("ok", "python", sys.version.split()[0])
    try:
        qemu = find_qemu()
        yield Finding("ok", "qemu", f"{qemu.text} ({qemu.path})")
    except RigError as error:
        yield Finding("bad", "qemu", str(error.what), error.remedy or "")
    missing = []
    for name in NEEDED_TOOLS:
        try:
            tool(name)
        except RigError:
            missing.append(name)
    if missing:
        packages = " ".join(sorted({PACKAGES.get(name, name) for name in missing}))
        yield Finding("bad", "tools", f"missing: {', '.join(missing)}", f"apt-get install {packages}")
    else:
        yield Finding("ok", "tools", f"{len(NEEDED_TOOLS)} found")
    try:
        yield Finding("ok", "mirror", f"{host_mirror()} {host_suite()}")
    except RigError as error:
        yield Finding("bad", "mirror", error.what, error.remedy or "")
    yield from _defaults()
    store = Store()
    yield _directory("cache", store.root, "RIG_CACHE")
    yield _cache_use(store)
    yield from _builds(store)
    yield _directory("runs", runs_directory(), "RIG_RUNS")
    yield from _runs_use()
    yield _memory()
    yield from _other_rig()


def _defaults() -> Iterator[Finding]:
    try:
        kernel = default_kernel()
        image = default_image()
    except RigError as error:
        if error.where is not None and str(error.where).endswith(".json"):
            yield Finding("bad", "defaults", error.what, error.remedy or "")
        return  # the finding `mirror` has reported the other errors
    try:
        ref = KernelRef.parse(kernel.spec, "RIG_KERNEL")
    except RigError as error:
        yield Finding("bad", "kernel", error.what, error.remedy or "")
        return
    own = KernelRef("source", ref.name)
    faster = f"; rig kernel build {own} makes one that boots in half the time" if ref.kind == "debian" else ""
    yield Finding("ok", "kernel", f"{kernel.spec} by default ({kernel.why}){faster}")
    yield Finding("ok", "image", f"{image.spec} by default ({image.why})")


def _directory(what: str, directory: Path, variable: str) -> Finding:
    try:
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        if not os.access(existing, os.W_OK):
            return Finding("bad", what, f"{directory} cannot be written", f"set {variable} to a directory of yours")
        free = shutil.disk_usage(existing).free
    except OSError as error:
        saw = f"{directory} cannot be read: {error.strerror}"
        return Finding("bad", what, saw, f"set {variable} to a directory of yours")
    saw = f"{directory}, {free >> 30} GB free"
    if free < ROOM:
        return Finding("bad", what, saw, f"free {ROOM >> 30} GB, or set {variable} to another disk")
    return Finding("ok", what, saw)


def _cache_use(store: Store) -> Finding:
    try:
        use = measure_use(store.entries(), store.aside().values())
    except RigError as error:
        return Finding("bad", "cache use", error.what, error.remedy or "")
    saw = (
        f"{format_megabytes(use.size)} of at most {format_size(use.bound)}, "
        f"and branch points {format_megabytes(use.branch_size)} of at most {format_size(use.branch_bound)}"
    )
    kinds = _by_kind(use.kinds)
    return Finding("ok", "cache use", f"{saw}: {kinds}" if kinds else saw)


def _builds(store: Store) -> Iterator[Finding]:
    """Yield what the directories take that kernels and Buildroot images were built in."""
    found = [
        f"{path} {format_megabytes(bytes_below(path))}; {removed}"
        for name, removed in BUILD_DIRECTORIES.items()
        if (path := store.root / name).is_dir()
    ]
    if found:
        yield Finding("ok", "builds", "\n".join(found))


def _runs_use() -> Iterator[Finding]:
    try:
        bound, kinds = runs_bound(), runs_by_kind()
    except RigError as error:
        yield Finding("bad", "runs use", error.what, error.remedy or "")
        return
    except OSError as error:
        saw = f"{error.filename} cannot be read: {error.strerror}"
        yield Finding("bad", "runs use", saw, "make it readable, or set RIG_RUNS to a directory of yours")
        return
    if kinds:
        total = sum(size for _, size in kinds.values())
        of = f"{format_megabytes(total)} of at most {format_size(bound)}"
        yield Finding("ok", "runs use", f"{of}: {_by_kind(kinds)}")


def _by_kind(kinds: Mapping[str, tuple[int, int]]) -> str:
    return ", ".join(f"{kind} {format_megabytes(size)}" for kind, (_, size) in kinds.items())


def _memory() -> Finding:
    try:
        text = MEMINFO.read_text()
    except OSError as error:
        saw = f"{MEMINFO} cannot be read: {error.strerror}"
        return Finding("bad", "memory", saw, "in a chroot: mount -t proc proc /proc")
    fields = dict(line.split(":", 1) for line in text.splitlines())
    available = int(fields["MemAvailable"].split()[0]) << 10
    saw = f"{available >> 20} MB available, {os.cpu_count()} CPUs"
    if available < DEFAULT_GUEST * 3 // 2:
        return Finding("bad", "memory", saw, "a guest of 512 MB needs 768 MB on the host")
    return Finding("ok", "memory", saw)


def _other_rig() -> Iterator[Finding]:
    found = shutil.which("rig")
    if found is None:
        yield Finding("note", "PATH", "there is no rig on PATH", put_on_path())
        return
    try:
        # What pip, pipx, uv and the Debian package write for the entry point of pyproject.toml.
        with Path(found).open("rb") as script:
            ours = b"from rig.cli import main" in script.read(4096)
    except OSError:
        ours = True
    if not ours:
        yield Finding(
            "note",
            "PATH",
            f"{found} is another program: Debian and PyPI have packages called rig",
            "put this rig's directory before it on PATH",
        )


async def examine_kvm(*, again: bool = False) -> Finding:
    """Return whether KVM works: absent, no permission, unable to boot a guest, or working.

    again: whether to test KVM again, although the cache has a result.
    """
    if not KVM.exists():
        return Finding("note", "kvm", "there is no /dev/kvm", "none needed: the warp clock runs on TCG")
    from rig.experiment.prepare import prepare_guest
    from rig.scenario.settings import guest_settings

    try:
        guest = await prepare_guest(guest_settings(["clock=live", "accel=tcg"]))
        proof = await prove_kvm(guest.store, guest.spec, guest.qemu, timeout_scale=deadline_scale(), again=again)
    except RigError as error:
        return Finding("note", "kvm", f"not tried: {error.what}", error.remedy or "")
    if proof.works:
        return Finding("ok", "kvm", proof.why)
    instead = "live guests run on TCG instead, ten times slower; the warp clock, the default, is not affected"
    if unusable_kvm() is None:
        instead += ". In a virtual machine, its host has to allow nested virtualisation"
    return Finding("note", "kvm", proof.why, instead)

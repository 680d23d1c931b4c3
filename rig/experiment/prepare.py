# SPDX-License-Identifier: MIT
"""Prepare a guest: find or build its kernel, root filesystem and initramfs, compile its programs, choose how it runs.

Every command that starts a guest of some settings starts a `PreparedGuest`, and `PreparedGuest.wiring()` is the one
place that says which sockets, files and ports the guest has. So the guest that `--print-qemu` prints, the one that a
shell opens and the one that a run records are the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from rig.image.bootfile import Kernel
from rig.image.defaults import Default, default_image, default_kernel
from rig.image.guestcode import GuestCode, build_guest_code, compile_program
from rig.image.initramfs import INITRAMFS, build_initramfs
from rig.image.kernel import find_kernel
from rig.image.layer.closure import closure_of
from rig.image.payload import PAYLOAD_SIZE, Payload
from rig.image.rootfs import Rootfs, find_rootfs, merged_path
from rig.image.store import Store
from rig.machine.accel import Choice, choose_accel
from rig.machine.command import build_command, printable
from rig.machine.features import MACHINE, TCG_CPU
from rig.machine.qemu import Qemu, find_qemu
from rig.machine.session import confined
from rig.machine.snapshot import as_restored, expected_snapshot
from rig.machine.spec import Accel, Clock, GuestSpec, Layer, Wiring
from rig.scenario.plan import RenderedPlan
from rig.scenario.program_source import PROGRAM_FOLDER
from rig.scenario.settings import Settings

__all__ = [
    "RECORDING",
    "Parts",
    "PreparedGuest",
    "find_parts",
    "guest_spec",
    "payload_of",
    "prepare_guest",
    "printed_command",
]

logger = logging.getLogger(__name__)
RECORDING = "recording/replay.bin"
"""QEMU's recording, in the directory of a run."""


@dataclass(frozen=True)
class Parts:
    """The files that a guest is made of.

    kernel_reason, image_reason: why it is this one where the call named none, else empty.
    """

    kernel: Kernel
    rootfs: Rootfs
    initramfs: Path
    initramfs_digest: str
    code: GuestCode
    kernel_reason: str = ""
    image_name: str = ""
    image_reason: str = ""

    @property
    def chosen(self) -> str:
        """Return what was taken where nothing was named, and why, in a line; empty where all was named."""
        kernel = f"kernel {self.kernel.spec} ({self.kernel_reason})" if self.kernel_reason else ""
        image = f"image {self.image_name} ({self.image_reason})" if self.image_reason else ""
        return ", ".join(each for each in (kernel, image) if each)


@dataclass(frozen=True)
class PreparedGuest:
    """A guest that can be started as it is: every choice is made, every file is there.

    accel: the accelerator and why it was chosen; unrecorded: why a run of this guest is not recorded, None where it
    is; prealloc: whether the guest gets all its memory before it starts.
    """

    store: Store
    qemu: Qemu
    parts: Parts
    spec: GuestSpec
    accel: Choice
    unrecorded: str | None
    prealloc: bool = False

    @property
    def live(self) -> bool:
        """Whether the guest runs on the host's clock."""
        return self.spec.clock is Clock.LIVE

    def wiring(self, name: str, folder: Path, out: Path, *, ssh: bool = True, dump: int | None = None) -> Wiring:
        """Return how the guest is connected when it is restored from its snapshot.

        folder: the directory of its sockets; out: that of the run, which gets the recording; ssh: whether a live guest
        gets a port for SSH; dump: the open file for the memory of a guest that panics.
        """
        recorded = self.unrecorded is None
        return Wiring(
            name=name,
            folder=folder,
            payload=folder / "payload",
            incoming=True,
            rr="record" if recorded else None,
            recording=out / RECORDING if recorded else None,
            swap=folder / "swap" if self.spec.swap else None,
            ssh=ssh and self.live,
            shell=self.live,
            dump=dump,
            prealloc=self.prealloc,
        )


async def prepare_guest(
    settings: Settings,
    *,
    store: Store | None = None,
    parts: Parts | None = None,
    append: tuple[str, ...] = (),
    qemu_args: tuple[str, ...] = (),
    record: bool = False,
    timeout_scale: float = 1.0,
    layers: tuple[Layer, ...] = (),
    tell: Callable[[str], None] = logger.warning,
) -> PreparedGuest:
    """Return the guest of these settings, with whatever was missing built.

    parts: its files, where they were found already; record: whether its runs are to be recorded; layers: of the roots
    of programs; tell: is called with what takes long, from another thread.
    Raises UsageError for what no guest can be, RigError where a file cannot be had or the accelerator that was asked
    for does not work.
    """
    store, qemu = store or Store(), find_qemu()
    if parts is None:
        parts = await asyncio.to_thread(find_parts, store, settings.kernel, settings.image, tell)
    spec = guest_spec(parts, settings, append=append, qemu_args=qemu_args)
    accel = await choose_accel(store, spec, qemu, settings.accel, timeout_scale=timeout_scale, tell=tell)
    return PreparedGuest(
        store=store,
        qemu=qemu,
        parts=parts,
        spec=replace(spec, accel=accel.accel, cpu_model=accel.cpu_model, layers=layers),
        accel=accel,
        unrecorded=_why_not_recorded(spec, wanted=record),
        prealloc=settings.prealloc,
    )


def _why_not_recorded(spec: GuestSpec, *, wanted: bool) -> str | None:
    if spec.clock is Clock.LIVE:
        return "a live guest runs on the host's time, which cannot be replayed"
    if not wanted:
        return "asked for: --no-record"
    if spec.swap:
        return "QEMU cannot record a disk on the warp clock; zram can be recorded"
    return None


def printed_command(guest: PreparedGuest, name: str, folder: Path, out: Path, dump: int | None) -> str:
    """Return QEMU's command line for a run of this guest, as one would type it.

    It is what `execute()` starts, but for the name, the directories and the number of the open file `dump`. The
    snapshot need not exist yet.
    """
    snapshot = expected_snapshot(guest.store, guest.spec, guest.qemu)
    spec, wiring = as_restored(guest.spec, guest.wiring(name, folder, out, dump=dump), snapshot)
    return printable(build_command(spec, confined(wiring), guest.qemu))


def find_parts(
    store: Store, kernel: str | None, image: str | None, tell: Callable[[str], None] = logger.warning
) -> Parts:
    """Return kernel, root filesystem and the code for it, each built where it is missing.

    tell: is told what takes long, from a thread of its own.
    They are looked up side by side: building from nothing is mostly waiting for the mirror. An image of Buildroot's
    brings kernel, agent and programs with it.
    """
    of_image = Default(image, "") if image else default_image()
    if of_image.spec != "quick":
        rootfs = find_rootfs(store, of_image.spec)
        own = Default(rootfs.kernel, "the image's own") if rootfs.kernel else None
        of_kernel = Default(kernel, "") if kernel else own or default_kernel()
        found = _put_together(store, find_kernel(store, of_kernel.spec), rootfs, rootfs.code or build_guest_code(store))
    else:
        of_kernel = Default(kernel, "") if kernel else default_kernel()
        with ThreadPoolExecutor(3) as pool:
            kernel_found = pool.submit(find_kernel, store, of_kernel.spec, tell)
            rootfs_found = pool.submit(find_rootfs, store, of_image.spec)
            code_found = pool.submit(build_guest_code, store)
            found = _put_together(store, kernel_found.result(), rootfs_found.result(), code_found.result())
    return replace(found, kernel_reason=of_kernel.why, image_name=of_image.spec, image_reason=of_image.why)


def _put_together(store: Store, kernel: Kernel, rootfs: Rootfs, code: GuestCode) -> Parts:
    entry = build_initramfs(store, kernel, code)
    return Parts(kernel, rootfs, entry.file(INITRAMFS), entry.files[INITRAMFS], code)


def guest_spec(
    parts: Parts, settings: Settings, *, append: tuple[str, ...] = (), qemu_args: tuple[str, ...] = ()
) -> GuestSpec:
    """Return the guest of these settings. The accelerator is TCG until another is proved."""
    return GuestSpec(
        memory=settings.memory,
        cpus=settings.cpus,
        clock=Clock(settings.clock),
        accel=Accel.TCG,
        kernel=parts.kernel.image,
        kernel_digest=parts.kernel.digest,
        initramfs=parts.initramfs,
        initramfs_digest=parts.initramfs_digest,
        rootfs=parts.rootfs.image,
        rootfs_digest=parts.rootfs.digest,
        rootfs_size=parts.rootfs.image.stat().st_size,
        payload_size=PAYLOAD_SIZE,
        machine=MACHINE,
        cpu_model=TCG_CPU,
        swap=settings.swap,
        append=append,
        qemu_args=qemu_args,
    )


def payload_of(store: Store, plan: RenderedPlan, code: GuestCode) -> Payload:
    """Return the payload that carries a plan and its programs.

    C programs of guest/programs are compiled already; a scenario's own C file is compiled here. Beside a Python
    program lie the modules of guest/python, which it may import. An executable brings its libraries.
    """
    files: dict[str, Path] = {}
    links: dict[str, str] = {}
    for program in plan.programs:
        if program.language == "python":
            files |= {f"{PROGRAM_FOLDER}/{path.name}": path for path in code.python.values()}
            files[program.payload_path] = program.source
        elif program.language == "file":
            found, aliases = closure_of(program.source)
            files |= {f"{program.copies}/{merged_path(name.lstrip('/'))}": path for name, path in found.items()}
            links |= {f"{program.copies}/{merged_path(name.lstrip('/'))}": to for name, to in aliases.items()}
            files[program.payload_path] = program.source
        elif program.language in ("package", "image"):
            continue  # its layer holds it
        elif program.source.parent == code.include and not program.libs and not program.more:
            files[program.payload_path] = code.programs[program.source.stem]
        else:
            files[program.payload_path] = compile_program(store, program.source, program.more, program.libs)
    return Payload(plan=plan.text(), files=files, links=links)

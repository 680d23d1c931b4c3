# SPDX-License-Identifier: MIT
"""Prepare a guest: find or build its kernel, root filesystem and initramfs, compile its programs, choose how it runs.

All commands that start a guest from settings start a `PreparedGuest`. `PreparedGuest.wiring()` alone decides which
sockets, files and ports the guest has. The guest of `--print-qemu`, of `rig shell` and of a run are therefore the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from rig.errors import UsageError
from rig.finishing import finish_in_thread
from rig.image.bootfile import Kernel
from rig.image.continuation import CONTINUATION_SIZE
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
from rig.machine.restoring import as_restored
from rig.machine.session import confined
from rig.machine.snapshot import expected_snapshot
from rig.machine.spec import VIRTIO_CONSOLE, Accel, Clock, GuestSpec, Layer, Recorder, Wiring
from rig.run.recording_files import RECORDING
from rig.scenario.plan import RenderedPlan
from rig.scenario.program_source import PROGRAM_DIRECTORY
from rig.scenario.settings import Settings

__all__ = [
    "Parts",
    "PreparedGuest",
    "find_parts",
    "guest_spec",
    "payload_of",
    "prepare_guest",
    "printed_command",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """The files that a guest is made of.

    kernel_reason, image_reason: why this one is the default; empty if the user named it.
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
        """One line with the defaults that were chosen and the reasons; empty if the user named kernel and image."""
        kernel = f"kernel {self.kernel.spec} ({self.kernel_reason})" if self.kernel_reason else ""
        image = f"image {self.image_name} ({self.image_reason})" if self.image_reason else ""
        return ", ".join(each for each in (kernel, image) if each)


@dataclass(frozen=True)
class PreparedGuest:
    """A guest that is ready to start: all options are decided and all files exist.

    accel: the accelerator, and why it was chosen.
    unrecorded: why runs of this guest are not recorded; None if they are.
    prealloc: whether QEMU preallocates the guest's memory.
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

    def wiring(self, name: str, directory: Path, out: Path, *, ssh: bool = True, dump: int | None = None) -> Wiring:
        """Return how the guest is connected when it is restored from its snapshot.

        directory: directory of the sockets.
        out: directory of the run, for the recording.
        ssh: whether a live guest has a forwarded port for SSH.
        dump: descriptor of the file for a memory dump after a panic.
        """
        return Wiring(
            name=name,
            directory=directory,
            payload=directory / "payload",
            incoming=True,
            recorder=Recorder("record", out / RECORDING) if self.unrecorded is None else None,
            swap=directory / "swap" if self.spec.swap else None,
            disk=directory / "disk" if self.spec.disk else None,
            ssh=ssh and self.live,
            shell=self.live,
            dump=dump,
            prealloc=self.prealloc,
            continuation=directory / "continuation",
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
    """Return the guest of these settings; build the files that are missing from the cache.

    parts: the guest's files, if the caller has found them already.
    record: whether to record its runs.
    layers: filesystem layers of the programs' roots.
    tell: called with a description of each slow step, from another thread.
    Raises UsageError for settings that no guest can have.
    Raises RigError when a file cannot be built or fetched, or when the requested accelerator does not work.
    """
    store, qemu = store or Store(), find_qemu()
    if parts is None:
        parts = await finish_in_thread(find_parts, store, settings.kernel, settings.image, tell)
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
    if spec.disk:
        return "QEMU cannot record a disk on the warp clock"
    if spec.has_virtio_console:
        # Tried with QEMU 7.2: the replay ends before the last lines, those of a panic among them.
        return "QEMU does not replay all that a virtio console prints"
    return None


def printed_command(guest: PreparedGuest, name: str, directory: Path, out: Path, dump: int | None) -> str:
    """Return QEMU's command line for a run of this guest, quoted for a shell.

    It differs from the command line of `execute()` only in the name, the directories and the number of the descriptor
    `dump`. The snapshot need not exist yet.
    """
    snapshot = expected_snapshot(guest.store, guest.spec, guest.qemu)
    spec, wiring = as_restored(guest.spec, guest.wiring(name, directory, out, dump=dump), snapshot)
    return printable(build_command(spec, confined(wiring), guest.qemu))


def find_parts(
    store: Store, kernel: str | None, image: str | None, tell: Callable[[str], None] = logger.warning
) -> Parts:
    """Return the kernel, the root filesystem and the guest's programs; build those that are missing.

    tell: called with a description of each slow step, from another thread.
    The three are built in parallel, because a first build mostly waits for the mirror. A Buildroot image contains its
    own kernel, agent and programs.
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
    """Return the specification of the guest, with TCG; prepare_guest() replaces it if KVM was shown to work.

    Raises UsageError for a virtio console in a live guest.
    """
    if settings.clock == "live" and VIRTIO_CONSOLE in append:
        raise UsageError(
            "hvc0 is the shell's in a live guest", where="--virtio-console", remedy="leave it out, or use --clock warp"
        )
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
        disk=settings.disk,
        append=append,
        qemu_args=qemu_args,
        continuation_size=CONTINUATION_SIZE if settings.clock == "warp" else 0,
    )


def payload_of(store: Store, plan: RenderedPlan, code: GuestCode) -> Payload:
    """Return the payload that carries a plan and its programs.

    C programs of guest/programs were compiled with the agent; other C files are compiled here. The modules of
    guest/python are put beside a Python program, which may import them. An executable is packed with its libraries.
    """
    files: dict[str, Path] = {}
    links: dict[str, str] = {}
    for program in plan.programs:
        if program.language == "python":
            files |= {f"{PROGRAM_DIRECTORY}/{path.name}": path for path in code.python.values()}
            files[program.payload_path] = program.source
        elif program.language == "file":
            found, aliases = closure_of(program.source)
            files |= {f"{program.copies}/{merged_path(name.lstrip('/'))}": path for name, path in found.items()}
            links |= {f"{program.copies}/{merged_path(name.lstrip('/'))}": to for name, to in aliases.items()}
            files[program.payload_path] = program.source
        elif program.language in ("package", "image"):
            continue  # the layer of the package or image contains it
        elif program.source.parent == code.include and not program.libs and not program.more:
            files[program.payload_path] = code.programs[program.source.stem]
        else:
            files[program.payload_path] = compile_program(store, program.source, program.more, program.libs)
    return Payload(plan=plan.text(), files=files, links=links)

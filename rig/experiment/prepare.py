# SPDX-License-Identifier: MIT
"""From settings to a guest: its kernel, root filesystem and initramfs found or built, its programs compiled."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rig.image.apt import host_suite
from rig.image.bootfile import Kernel
from rig.image.guestcode import GuestCode, build_guest_code, compile_program
from rig.image.initramfs import INITRAMFS, build_initramfs
from rig.image.kernel import find_kernel
from rig.image.payload import PAYLOAD_SIZE, Payload
from rig.image.rootfs import Rootfs, find_rootfs
from rig.image.sourcekernel import own_kernel_is_built
from rig.image.store import Store
from rig.machine.spec import Accel, Clock, GuestSpec
from rig.scenario.plan import PROGRAM_FOLDER, RenderedPlan
from rig.scenario.settings import Settings

__all__ = ["Parts", "default_kernel", "find_parts", "guest_spec", "payload_of"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What a guest is put together from."""

    kernel: Kernel
    rootfs: Rootfs
    initramfs: Path
    initramfs_digest: str
    code: GuestCode


def default_kernel(store: Store) -> str:
    """Return the kernel that a run takes when none is named: RIG_KERNEL, or one of the host's own suite.

    That is rig's own build where it is here already: it boots in half the time and does less at each page fault.
    Raises RigError where the host names no suite.
    """
    return os.environ.get("RIG_KERNEL") or _kernel_of_suite(store.root)


@cache
def _kernel_of_suite(root: Path) -> str:
    # Looked up once a process: all points of a sweep boot the same, also when somebody builds one meanwhile.
    suite = host_suite()
    return f"source:{suite}" if own_kernel_is_built(Store(root), suite) else f"debian:{suite}"


def find_parts(
    store: Store, kernel: str | None, image: str | None, tell: Callable[[str], None] = logger.warning
) -> Parts:
    """Return kernel, root filesystem and the code for it, each built where it is missing.

    tell: is told what takes long, from a thread of its own.
    They are looked up side by side: building from nothing is mostly waiting for the mirror. An image of Buildroot's
    brings kernel, agent and programs with it.
    """
    image = image or os.environ.get("RIG_IMAGE") or "quick"
    if image != "quick":
        rootfs = find_rootfs(store, image)
        kernel_part = find_kernel(store, kernel or rootfs.kernel or default_kernel(store))
        return _put_together(store, kernel_part, rootfs, rootfs.code or build_guest_code(store))
    with ThreadPoolExecutor(3) as pool:
        kernel_found = pool.submit(lambda: find_kernel(store, kernel or default_kernel(store), tell))
        rootfs_found = pool.submit(find_rootfs, store, image)
        code_found = pool.submit(build_guest_code, store)
        return _put_together(store, kernel_found.result(), rootfs_found.result(), code_found.result())


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
        payload_size=PAYLOAD_SIZE,
        swap=settings.swap,
        append=append,
        qemu_args=qemu_args,
    )


def payload_of(store: Store, plan: RenderedPlan, code: GuestCode) -> Payload:
    """Return the payload that carries a plan and its programs.

    C programs of guest/programs are compiled already; a scenario's own C file is compiled here. Beside a Python
    program lie the modules of guest/python, which it may import.
    """
    files: dict[str, Path] = {}
    for program in plan.programs:
        if program.language == "python":
            files |= {f"{PROGRAM_FOLDER}/{path.name}": path for path in code.python.values()}
            files[program.payload_path] = program.source
        elif program.source.parent == code.include:
            files[program.payload_path] = code.programs[program.source.stem]
        else:
            files[program.payload_path] = compile_program(store, program.source)
    return Payload(plan=plan.text(), files=files)

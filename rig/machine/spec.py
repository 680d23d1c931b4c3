# SPDX-License-Identifier: MIT
"""What a guest is made of: frozen values that command lines, snapshots and runs are derived from."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Accel", "Clock", "GuestSpec", "Layer", "Wiring"]


class Clock(enum.StrEnum):
    """warp: guest time jumps over idleness (-icount sleep=off). live: guest time is the host's."""

    WARP = "warp"
    LIVE = "live"


class Accel(enum.StrEnum):
    """How the guest's instructions are run."""

    TCG = "tcg"
    KVM = "kvm"


@dataclass(frozen=True)
class Layer:
    """A filesystem on an NVDIMM of its own, of which programs get their root. size: bytes.

    A snapshot is taken over a blank one of the same size, so its content does not shape the snapshot.
    """

    image: Path
    digest: str
    size: int


@dataclass(frozen=True)
class GuestSpec:
    """All that shapes a guest and so its snapshot.

    memory, rootfs_size, payload_size: bytes; machine, cpu_model: the values of -machine and -cpu; swap: bytes of a
    second virtio disk, 0 for none; append: words added to the kernel's command line; qemu_args: words added to QEMU's.
    The digests name the files' content.
    """

    memory: int
    cpus: int
    clock: Clock
    accel: Accel
    kernel: Path
    kernel_digest: str
    initramfs: Path
    initramfs_digest: str
    rootfs: Path
    rootfs_digest: str
    rootfs_size: int
    payload_size: int
    machine: str
    cpu_model: str
    swap: int = 0
    append: tuple[str, ...] = ()
    qemu_args: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Wiring:
    """What differs between two starts of the same guest: sockets, files, a name.

    recording: rrfile to write (`record`) or to read (`replay`); ssh: a port of 127.0.0.1, which QEMU chooses, leads to
    the guest's SSH server;
    debugger: QEMU listens for one on a socket, or, with debugger_port, on that port of 127.0.0.1;
    history: a qcow2 image for snapshots of a replay; dump: an open file for the memory of a guest that panicked;
    ram: a file that is the guest's memory, of which the guest writes to pages of its own, or, with ram_kept, to the
    file itself; prealloc: whether it has all pages of its own before it starts; blank_layers: a directory with blank
    images, each named by its size, that stand in for the layers while a snapshot is made.
    """

    name: str
    folder: Path
    payload: Path
    incoming: bool = False
    rr: str | None = None
    recording: Path | None = None
    swap: Path | None = None
    ssh: bool = False
    run_as: str | None = None
    shell: bool = False
    debugger: bool = False
    debugger_port: int | None = None
    history: Path | None = None
    dump: int | None = None
    ram: Path | None = None
    ram_kept: bool = False
    prealloc: bool = False
    blank_layers: Path | None = None

    @property
    def qmp(self) -> Path:
        """The socket on which the rig listens for QMP."""
        return self.folder / "qmp"

    @property
    def console(self) -> Path:
        """The pipe of ttyS0: QEMU adds .in and .out to its name."""
        return self.folder / "console"

    @property
    def events(self) -> Path:
        """The pipe of the agent's records."""
        return self.folder / "events"

    @property
    def gdb(self) -> Path:
        """The socket on which QEMU listens for a debugger."""
        return self.folder / "gdb"

    @property
    def shell_socket(self) -> Path:
        """The socket of the second console, for people."""
        return self.folder / "shell"
